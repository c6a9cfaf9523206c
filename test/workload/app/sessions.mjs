import { fillings, RECORD_BYTES, record, touch } from './records.mjs';

const MIB = 1 << 20;
const PAGE_BYTES = 4_096;
const DIRTYING_MS = 10;
/** What was not written while the app stood still is not made up for. */
const LONGEST_PAUSE_MS = 100;

/**
 * A session store of `sizeMib` MiB, as in-memory stores keep them: one JSON text per session, outside V8's heap.
 *
 * A record has ids, tokens and signatures from the system's random source, and prose, dates, prices and field names
 * as sessions have them; zlib's fastest level makes about a third of it. No zeros and no repeated page: what moves
 * is what the memory of such an app would be. With `kind` `random` there are random bytes instead. `sizeMib` counts
 * the records only, 1 KiB each; Node's own memory, some 25 MiB anonymous, comes on top. Buffers rather than strings:
 * strings that live on make V8 grow its young generation, and the garbage left in it would double what a checkpoint
 * has to carry.
 */
export class SessionStore {
  #blocks = [];
  #timer;

  constructor(sizeMib, kind = 'sessions') {
    const fill = fillings[kind];
    if (fill === undefined) {
      throw new Error(`memory is of ${Object.keys(fillings).join(' or ')}, not ${kind}`);
    }
    for (let n = 0; n < sizeMib; n += 1) {
      const block = Buffer.allocUnsafeSlow(MIB);
      for (let start = 0; start < MIB; start += RECORD_BYTES) fill(placeIn(block, start));
      this.#blocks.push(block);
    }
  }

  get sizeBytes() {
    return this.#blocks.length * MIB;
  }

  /** One of the records, or a fresh one of an empty store. */
  any() {
    if (this.#blocks.length === 0) return record();
    return placeIn(this.#block(), below(MIB / RECORD_BYTES) * RECORD_BYTES)
      .toString('latin1')
      .trimEnd();
  }

  /** Touch sessions here and there, so that `mibPerS` MiB of pages are written each second. */
  keepDirtying(mibPerS) {
    if (mibPerS <= 0 || this.#blocks.length === 0) return;
    let before = performance.now();
    let duePages = 0;
    this.#timer = setInterval(() => {
      const now = performance.now();
      duePages += (Math.min(now - before, LONGEST_PAUSE_MS) / 1000) * mibPerS * (MIB / PAGE_BYTES);
      before = now;
      for (; duePages >= 1; duePages -= 1) {
        touch(placeIn(this.#block(), below(MIB / PAGE_BYTES) * PAGE_BYTES));
      }
    }, DIRTYING_MS);
  }

  /** Touch every page there is. */
  rewrite() {
    for (const block of this.#blocks) {
      for (let start = 0; start < MIB; start += PAGE_BYTES) touch(placeIn(block, start));
    }
  }

  close() {
    clearInterval(this.#timer);
  }

  #block() {
    return this.#blocks[below(this.#blocks.length)];
  }
}

function placeIn(block, start) {
  return block.subarray(start, start + RECORD_BYTES);
}

function below(count) {
  return Math.floor(Math.random() * count);
}
