import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const RUN = fileURLToPath(new URL('run.ts', import.meta.url));
const SETTINGS = { type: 'module', tap: { include: ['test/*.mjs'], 'disable-coverage': true } };

/** Each test file notes in an ignored file that it has run. */
function source(body: string): string {
  return [
    "import { appendFileSync, existsSync, writeFileSync } from 'node:fs';",
    "import path from 'node:path';",
    "import t from 'tap';",
    "appendFileSync('ran', path.basename(process.argv[1], '.mjs') + '\\n');",
    body,
  ].join('\n');
}

/** A project of a few test files, tested as `npm test` does it. */
export class Project {
  readonly root: string;

  constructor(t: Test, bodies: Readonly<Record<string, string>>) {
    const files = Object.entries(bodies).map(([name, body]) => [`${name}.mjs`, source(body)]);
    this.root = t.testdir({
      '.gitignore': 'node_modules\n.tap/\nran\nwaited\n',
      'package.json': JSON.stringify(SETTINGS),
      test: Object.fromEntries(files),
    });
    symlinkSync(MODULES, path.join(this.root, 'node_modules'));
    execFileSync('git', ['init', '--quiet'], { cwd: this.root });
  }

  start(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
    rmSync(path.join(this.root, 'ran'), { force: true });
    // Nothing of the tap this runs in.
    const { PATH, HOME } = process.env;
    return spawn(process.execPath, ['--import', 'tsx', RUN, '--reporter=tap', '--jobs=1', ...args], {
      cwd: this.root,
      env: { PATH, HOME, ...env },
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  /** What one `npm test` ran, said and ended with. */
  async test(args?: readonly string[], env?: NodeJS.ProcessEnv) {
    const child = this.start(args, env);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    });
    return { ran: this.ran(), said, exitCode };
  }

  ran(): string[] {
    const file = path.join(this.root, 'ran');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  }
}
