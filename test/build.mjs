/**
 * The sources as JavaScript, as they are published: compiled once, where otherwise every program a test starts would
 * compile them for itself. Plain JavaScript, since it comes before there is anything that understands TypeScript.
 */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const repoDir = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const BUILDS = path.join(repoDir, '.build');
const SOURCES = ['gateway', 'haproxy', 'migrator', 'test', 'bench'];
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json', 'test/build.mjs'];
const KEEP_MS = 24 * 3_600_000;

export const PLAIN_NODE = ['-u', 'NODE_OPTIONS'];

let digest;

export function build() {
  const dir = current();
  if (!existsSync(dir)) {
    compile(dir);
    removeOld();
  }
  return path.relative(repoDir, dir);
}

export function built() {
  const dir = current();
  return existsSync(dir) ? dir : undefined;
}

/** Named by what the sources hold, so it is never out of date. Looked at once: what runs does not change by an edit. */
function current() {
  digest ??= digestOf([...SOURCES.flatMap(filesIn).sort(), ...SETTINGS]);
  return path.join(BUILDS, digest);
}

function filesIn(dir) {
  const files = readdirSync(path.join(repoDir, dir), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts')).map((file) => path.join(dir, file));
}

function digestOf(files) {
  const hash = createHash('sha256').update(repoDir);
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(path.join(repoDir, file)));
  return hash.digest('hex').slice(0, 16);
}

function compile(dir) {
  const own = `${dir}.${randomBytes(4).toString('hex')}`;
  const tsc = [path.join(repoDir, 'node_modules/typescript/bin/tsc'), '-p', repoDir];
  const how = ['--noEmit', 'false', '--noCheck', '--outDir', own];
  const maps = ['--inlineSourceMap', '--sourceRoot', `${pathToFileURL(repoDir)}/`];
  try {
    const command = [...PLAIN_NODE, process.execPath, ...tsc, ...how, ...maps];
    const { status, stdout } = spawnSync('/usr/bin/env', command, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`the sources cannot be compiled:\n${stdout}`);
    renameSync(own, dir);
  } catch (error) {
    if (!existsSync(dir)) throw error; // Another process was quicker.
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

/** Not those of a moment ago: another run may be at it. */
function removeOld() {
  for (const name of readdirSync(BUILDS)) {
    const dir = path.join(BUILDS, name);
    const { mtimeMs } = statSync(dir, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (mtimeMs < Date.now() - KEEP_MS) rmSync(dir, { recursive: true, force: true });
  }
}
