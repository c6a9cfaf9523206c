/**
 * Preloaded into the app: it writes every fiftieth file anew, in place, one after the other and over again, while it
 * serves. What it wrote last it remembers in memory, and looks whether the file says the same before it writes the next:
 * memory and files that moved apart would be told on standard error.
 *
 * Environment: `REWRITE_DIRS`, parted by colons; `REWRITE_PER_S`.
 */
import { readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setInterval } from 'node:timers/promises';
import { contentOf } from './contents.mjs';

const EVERY_NTH = 50;
const TICK_MS = 50;
/** The number of times a file was written, at its head. */
const HEAD_BYTES = 16;

const dirs = (process.env.REWRITE_DIRS ?? '').split(':').filter(Boolean);
const files = dirs.flatMap(filesBelow).filter((_, nth) => nth % EVERY_NTH === 0);
const perTick = Math.max(1, Math.round((Number(process.env.REWRITE_PER_S ?? 100) * TICK_MS) / 1_000));
const written = files.map(() => 0);

if (files.length > 0) {
  keepWriting().catch((error) => {
    process.stderr.write(`DAMAGED: ${error.message}\n`);
  });
}

async function keepWriting() {
  let next = 0;
  for await (const _ of setInterval(TICK_MS, undefined, { ref: false })) {
    for (let n = 0; n < perTick; n += 1) {
      await rewrite(next);
      next = (next + 1) % files.length;
    }
  }
}

async function rewrite(nth) {
  const file = await open(files[nth], 'r+');
  try {
    const { size } = await file.stat();
    const head = Buffer.alloc(HEAD_BYTES);
    await file.read(head, 0, HEAD_BYTES, 0);
    if (written[nth] > 0 && head.toString() !== headOf(written[nth])) {
      throw new Error(`${files[nth]} is not as it was written ${written[nth]} times`);
    }
    written[nth] += 1;
    const content = contentOf(nth, size, written[nth]);
    content.write(headOf(written[nth]));
    await file.write(content, 0, size, 0);
  } finally {
    await file.close();
  }
}

function headOf(times) {
  return `${times}\n`.padStart(HEAD_BYTES);
}

function filesBelow(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}
