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
const { pageBytes, blockPages, secondSeed, same, changed } = workerData;
/** Small enough to be hashed out of the processor's cache. */
const piece = Buffer.allocUnsafeSlow(32 * pageBytes);
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
    read(task);
  } catch (cause) {
    error = String(cause);
  }
  parentPort?.postMessage({ id: task.id, error });
});

/** @param {ReaderTask} task */
function read({ memory, address, runs, known, slot }) {
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
      const pages = Math.floor(readPiece(memory, wanted, address + page * pageBytes) / pageBytes);
      if (pages === 0) break; // No longer mapped: the rest of the run stays unread.
      for (let at = 0; at < pages * pageBytes; at += pageBytes, page++) {
        const content = piece.subarray(at, at + pageBytes);
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
 * @param {number} memory
 * @param {number} length
 * @param {number} position
 */
function readPiece(memory, length, position) {
  try {
    return readSync(memory, piece, 0, length, position);
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
