/**
 * What the result of a test may depend on, as one digest. It is sound rather than clever: tests start agents in other
 * namespaces, compile, and read the manual, so no following of imports would find what they depend on. Every file of
 * the project counts for every test, prose too.
 */
import { execFileSync } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cacheDir } from '../lab/names.ts';

/** What Node, the C library and the programs that tests start go by without anybody here naming it. */
const SYSTEM_VARIABLES = /^(NODE_|LC_|LD_|UV_|OPENSSL_|SSL_|GIT_|(LANG|TZ|TMPDIR)$)/;

/**
 * The project's files as they are now: those git tracks, and those it does not ignore.
 *
 * @throws Error where git cannot tell, or a file cannot be read
 */
export function digestOfFiles(root: string): string {
  const hash = createHash('sha256');
  for (const file of filesOf(root)) addFile(hash, root, file);
  return hash.digest('hex');
}

/** All else: the machine, what is installed on it, who runs the tests and with which environment. */
export function digestOfSurroundings(root: string, env: NodeJS.ProcessEnv): string {
  const surroundings = {
    root,
    node: process.versions,
    kernel: [os.release(), os.version(), os.machine(), os.availableParallelism()],
    cgroups: existsSync('/sys/fs/cgroup/cgroup.controllers') ? 2 : 1,
    user: [process.getuid?.(), /^CapEff.*$/m.exec(textOf('/proc/self/status'))?.[0]],
    dependencies: textOf(path.join(root, 'node_modules/.package-lock.json')),
    packages: textOf('/var/lib/dpkg/status'),
    lab: rootfsInCache(),
    env: variablesThatCount(root, env),
  };
  return createHash('sha256').update(JSON.stringify(surroundings)).digest('hex');
}

function filesOf(root: string): string[] {
  const which = ['--cached', '--others', '--exclude-standard'];
  const listed = execFileSync('git', ['ls-files', '-z', ...which], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
  });
  const files = [...new Set(listed.split('\0').filter(Boolean))].sort();
  if (!files.includes('package.json')) throw new Error('git does not know the files of this directory');
  return files;
}

function addFile(hash: Hash, root: string, file: string): void {
  const at = path.join(root, file);
  const stat = lstatSync(at, { throwIfNoEntry: false });
  if (stat === undefined) return; // Tracked, and removed.
  const content = stat.isSymbolicLink() ? Buffer.from(readlinkSync(at)) : readFileSync(at);
  hash.update(`${file}\0${stat.mode}\0${content.length}\0`).update(content);
}

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** A root file system is never changed, but it may have been removed and built again, of newer packages. */
function rootfsInCache(): [string, number][] {
  const dir = path.join(cacheDir(), 'rootfs');
  if (!existsSync(dir)) return [];
  const built = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return built.map(({ name }) => [name, statSync(path.join(dir, name)).mtimeMs]);
}

/** A variable counts when its name stands anywhere in the project: whoever reads it has to name it. */
function variablesThatCount(root: string, env: NodeJS.ProcessEnv): [string, string | undefined][] {
  const words = new Set<string>();
  for (const file of filesOf(root)) {
    const at = path.join(root, file);
    if (!lstatSync(at, { throwIfNoEntry: false })?.isFile()) continue;
    for (const [word] of readFileSync(at, 'utf8').matchAll(/\w{2,}/g)) words.add(word);
  }
  const names = Object.keys(env).filter((name) => words.has(name) || SYSTEM_VARIABLES.test(name));
  return names.sort().map((name) => [name, env[name]]);
}
