/** `node make-files.mjs DIR FILES BYTES SEED`: fills a directory, fifty files to each directory below. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { contentOf, fileSizes } from './contents.mjs';

const PER_DIR = 50;

const [dir, ...numbers] = process.argv.slice(2);
const [files, bytes, seed] = numbers.map(Number);
for (const [nth, sizeBytes] of fileSizes(files, bytes, seed).entries()) {
  const parent = path.join(dir, String(Math.floor(nth / PER_DIR)).padStart(4, '0'));
  if (nth % PER_DIR === 0) mkdirSync(parent, { recursive: true });
  writeFileSync(path.join(parent, String(nth).padStart(6, '0')), contentOf(nth, sizeBytes, seed));
}
