// @ts-check
import { readlinkSync, readSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { xxh64 } from '@node-rs/xxhash';

/**
 * The thread of a page reader: reads pages of other processes, hashes them, and says which are not as they are known.
 * In JavaScript, and with nothing of ours imported: then a thread starts as quickly, and in the same way, from sources
 * that a loader compiles as from the package.
 *
 * @typedef {import('./reader-task.ts').ReaderTask} ReaderTask
 * @typedef {import('./reader-task.ts').ReaderSetup} ReaderSetup
 */

/** @type {ReaderSetup} */
const { pageBytes, blockPages, secondSeed, same, changed, zero } = workerData;
/** Small enough to be hashed out of the processor's cache. */
const piece = Buffer.allocUnsafeSlow(32 * pageBytes);
/** Made once: to make one for each page would take a tenth of the time that hashing it does. */
const pagesOfPiece = Array.from({ length: 32 }, (_, page) =>
  piece.subarray(page * pageBytes, (page + 1) * pageBytes),
);
const zeros = Buffer.alloc(pageBytes);
const blockBytes = blockPages * pageBytes;
const GONE = new Set(['EIO', 'EFAULT', 'ESRCH']);

/** On Linux a priority belongs to a thread, and is set by the thread's own id. */
const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
let nice = 0;
const mayRaise = raise();

parentPort?.on('message', (/** @type {ReaderTask} */ task) => {
  setNice(task.nice);
  /** @type {string | undefined} */
  let error;
  try {
    if (task.hashed) readHashed(task);
    else readPlain(task);
  } catch (cause) {
    error = String(cause);
  }
  parentPort?.postMessage({ id: task.id, error });
});

/** @param {ReaderTask} task */
function readHashed({ memory, address, runs, known, slot }) {
  const bytes = new Uint8Array(slot, 0, blockBytes);
  const hashes = new BigUint64Array(slot, blockBytes, blockPages * 2);
  const states = new Uint8Array(slot, blockBytes + hashes.byteLength, blockPages);
  const before = known && new BigUint64Array(known);
  states.fill(0);
  let filled = 0;
  for (let run = 0; run + 1 < runs.length; run += 2) {
    let page = runs[run] ?? 0;
    const end = page + (runs[run + 1] ?? 0);
    while (page < end) {
      const wanted = Math.min(piece.length, (end - page) * pageBytes);
      const pages = Math.floor(readInto(piece, 0, memory, wanted, address + page * pageBytes) / pageBytes);
      if (pages === 0) break; // No longer mapped: the rest of the run stays unread.
      for (let nth = 0; nth < pages; nth++, page++) {
        const content = pagesOfPiece[nth] ?? zeros;
        const first = xxh64(content);
        const second = xxh64(content, secondSeed);
        if (before && before[page * 2] === first && before[page * 2 + 1] === second) {
          states[page] = same;
          continue;
        }
        hashes[page * 2] = first;
        hashes[page * 2 + 1] = second;
        states[page] = changed;
        bytes.set(content, filled);
        filled += pageBytes;
      }
    }
  }
}

/**
 * Straight into its place, but for zeros.
 *
 * @param {ReaderTask} task
 */
function readPlain({ memory, address, runs, slot }) {
  const bytes = Buffer.from(slot, 0, blockBytes);
  const words = new Uint32Array(slot, 0, blockBytes / 4);
  const states = new Uint8Array(slot, slot.byteLength - blockPages, blockPages);
  states.fill(0);
  let filled = 0;
  for (let run = 0; run + 1 < runs.length; run += 2) {
    let page = runs[run] ?? 0;
    const end = page + (runs[run + 1] ?? 0);
    while (page < end) {
      const wanted = (end - page) * pageBytes;
      const got = readInto(bytes, filled, memory, wanted, address + page * pageBytes);
      const until = filled + Math.floor(got / pageBytes) * pageBytes;
      if (until === filled) break; // No longer mapped: the rest of the run stays unread.
      for (let at = filled; at < until; at += pageBytes, page++) {
        if (words[at / 4] === 0 && zeros.equals(bytes.subarray(at, at + pageBytes))) {
          states[page] = zero;
          continue;
        }
        states[page] = changed;
        if (at !== filled) bytes.copyWithin(filled, at, at + pageBytes);
        filled += pageBytes;
      }
    }
  }
}

/**
 * @param {Buffer} target
 * @param {number} offset
 * @param {number} memory
 * @param {number} length
 * @param {number} position
 */
function readInto(target, offset, memory, length, position) {
  try {
    return readSync(memory, target, offset, length, position);
  } catch (error) {
    if (GONE.has(String(/** @type {NodeJS.ErrnoException} */ (error).code))) return 0;
    throw error;
  }
}

/** Whether a priority once lowered can be raised again (CAP_SYS_NICE). If not, it is left as it is. */
function raise() {
  try {
    setPriority(threadId, -1);
    setPriority(threadId, 0);
    return true;
  } catch {
    return false;
  }
}

/** @param {number} to */
function setNice(to) {
  if (to === nice || !mayRaise) return;
  setPriority(threadId, to);
  nice = to;
}
