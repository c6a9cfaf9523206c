/**
 * `node --import ./test/compiled.mjs`: sources are taken from where they were compiled, if they have been as they are
 * now. Otherwise they are left to whatever else understands TypeScript.
 */
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { built, repoDir } from './build.mjs';

let dir;

if (isMainThread) {
  const data = built();
  if (data !== undefined) register(import.meta.url, { data });
}

/** Node's own name for it: this module is also the one of the hooks, in their thread. */
export function initialize(data) {
  dir = data;
}

export function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const file = path.join(dir, path.relative(repoDir, fileURLToPath(url)).replace(/\.ts$/, '.js'));
  return { format: 'module', source: readFileSync(file), shortCircuit: true };
}
