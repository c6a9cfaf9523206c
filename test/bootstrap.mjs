/**
 * What must be so before anything else can run, in plain Node: a fresh clone needs one command only.
 * `node test/bootstrap.mjs` sees to Node and the dependencies; with `--lab` also to Linux and root.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { engines } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

function refuse(line) {
  process.stderr.write(`holdfast: ${line}\n`);
  process.exit(1);
}

function atLeast(version, least) {
  const [a, b] = [version, least].map((text) => text.replace(/^\D*/, '').split('.').map(Number));
  for (let part = 0; part < 3; part += 1) {
    if ((a[part] ?? 0) !== (b[part] ?? 0)) return (a[part] ?? 0) > (b[part] ?? 0);
  }
  return true;
}

/** npm writes this file last: it is there only when an install came to its end. */
function installed() {
  const mark = `${root}node_modules/.package-lock.json`;
  return existsSync(mark) && statSync(mark).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs;
}

if (!atLeast(process.versions.node, engines.node)) {
  refuse(`Node ${process.versions.node} is too old: install Node ${engines.node.replace('>=', '')} or later`);
}
if (process.argv.includes('--lab')) {
  if (process.platform !== 'linux') refuse('moving containers needs Linux: run this on a Linux machine');
  if (process.getuid() !== 0)
    refuse('moving containers needs root: run this as root, for instance with sudo');
}
if (!installed()) {
  process.stderr.write('holdfast: installing the dependencies (npm ci) …\n');
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  // No package needs what its install script would make: all of them have a way without.
  const done = spawnSync('npm', ['ci', '--include=dev', '--ignore-scripts', ...quiet], {
    cwd: root,
    // Standard output belongs to what comes after: the demo's --json ends with one line of JSON.
    stdio: ['ignore', 2, 2],
  });
  if (done.error) refuse(`npm cannot be run: ${done.error.message}`);
  if (done.status !== 0) refuse('npm ci failed: mend what it says above and run the same command again');
}
