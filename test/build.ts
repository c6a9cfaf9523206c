import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../migrator/process.ts';

/** The repository: on a lab's hosts it is at /opt/holdfast. */
export const repoDir = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const BUILDS = path.join(repoDir, '.build');
const SOURCES = ['gateway', 'migrator', 'test', 'bench'];
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json'];
const COMPILE_TIMEOUT_MS = 120_000;
const KEEP_MS = 24 * 3_600_000;

/** Arguments of env(1) for Node: the test runner gives every program it starts, however indirectly, hooks to load. */
export const PLAIN_NODE = ['-u', 'NODE_OPTIONS'];

let building: Promise<string> | undefined;

/**
 * Compile the sources to JavaScript as they are published, without which every program a test starts would compile
 * them for itself. Settles with the directory, relative to the repository's own. It is named by what the sources hold,
 * so it is never out of date, and is compiled once for each state of them.
 */
export function build(): Promise<string> {
  building ??= compiled();
  return building;
}

async function compiled(): Promise<string> {
  const dir = path.join(BUILDS, digest());
  if (!existsSync(dir)) {
    const tsc = path.join(repoDir, 'node_modules/typescript/bin/tsc');
    const own = `${dir}.${randomBytes(4).toString('hex')}`;
    const how = ['-p', repoDir, '--noEmit', 'false', '--noCheck', '--outDir', own];
    try {
      const signal = AbortSignal.timeout(COMPILE_TIMEOUT_MS);
      await run('/usr/bin/env', [...PLAIN_NODE, process.execPath, tsc, ...how], { signal });
      renameSync(own, dir);
    } catch (error) {
      if (!existsSync(dir)) throw error; // Another process was quicker.
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
    removeOld();
  }
  return path.relative(repoDir, dir);
}

function digest(): string {
  const hash = createHash('sha256');
  const sources = SOURCES.flatMap((dir) =>
    readdirSync(path.join(repoDir, dir), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => path.join(dir, file)),
  );
  for (const file of [...sources.sort(), ...SETTINGS]) {
    hash.update(`${file}\0`).update(readFileSync(path.join(repoDir, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Not those of a moment ago: another run may be at it. */
function removeOld(): void {
  for (const name of readdirSync(BUILDS)) {
    const dir = path.join(BUILDS, name);
    const { mtimeMs } = statSync(dir, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (mtimeMs < Date.now() - KEEP_MS) rmSync(dir, { recursive: true, force: true });
  }
}
