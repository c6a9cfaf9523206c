import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { xxh64 } from '@node-rs/xxhash';
import { codecs } from '../transfer/codec.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { readSample } from './sample.ts';

/** Read at each look, at most: larger memory is sampled. */
const SAMPLE_BYTES = 32 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;
/** Encoded to see how far memory shrinks, at most. */
const ENCODED_BYTES = 2 * 1024 * 1024;
/** As many as are when memory is sent: on a thread pool of four. */
const ENCODED_AT_ONCE = 4;
/** Between two looks, at least: a shorter span sees too few writes. */
const SPAN_MS = 120;

/** What a container's processes have in memory, and how they write to it. Shares are of 0 to 1. */
export interface MemorySurvey {
  readonly processes: number;
  /** Private pages in memory or swapped out. */
  readonly privateBytes: number;
  /** Of those, swapped out. */
  readonly swappedBytes: number;
  /** The processes' share of shared memory. */
  readonly sharedBytes: number;
  /** Of private pages: how many are all zeros. */
  readonly zeroShare: number;
  /** Of the pages that are not: how many are left when each content counts once. */
  readonly distinctShare: number;
  /** What the codec makes of them, by size. */
  readonly encodedShare: number;
  /** How fast the codec encodes, in bytes a millisecond. */
  readonly encodeRateBpms: number;
  /** How fast memory is read and hashed, in bytes a millisecond. */
  readonly readRateBpms: number;
  /** Written a millisecond, by whole pages, while little is written twice. */
  readonly dirtyRateBpms: number;
  /** What is written again and again: more than this is not written however long it takes. */
  readonly hotBytes: number;
}

/** A sample of pages: by process and address, the hash of each. */
type Look = ReadonlyMap<string, bigint>;

/**
 * Look at memory three times while the app runs, touching nothing.
 *
 * @param meanwhile is done between the first two looks
 */
export async function surveyMemory<T>(
  processes: () => Promise<readonly number[]>,
  meanwhile: () => Promise<T>,
  signal: AbortSignal,
): Promise<{ survey: MemorySurvey; meanwhile: T }> {
  const pids = await processes();
  const kinds = await Promise.all(pids.map(kindsOf));
  const sum = (of: (kind: Kinds) => number) => kinds.reduce((total, kind) => total + of(kind), 0);
  const stride = Math.max(1, Math.ceil(sum((kind) => kind.anonymous) / SAMPLE_BYTES));
  const sample = new Sample(stride);
  const look = () => sample.look(pids, signal);

  const first = await look();
  const firstAt = performance.now();
  const content = await sample.content();
  const done = await meanwhile();
  await atLeast(SPAN_MS, firstAt, signal);
  const second = await look();
  const secondAt = performance.now();
  await atLeast(SPAN_MS, secondAt, signal);
  const third = await look();
  const thirdAt = performance.now();

  const sampledBytes = first.size * PAGE_BYTES;
  // By the looks themselves rather than by the stride, which falls unevenly on scattered memory.
  const scale = sampledBytes === 0 ? 1 : Math.max(1, sum((kind) => kind.anonymous) / sampledBytes);
  const writing = writingOf({
    early: { pages: changed(first, second), spanMs: secondAt - firstAt },
    late: { pages: changed(second, third), spanMs: thirdAt - secondAt },
    whole: changed(first, third),
    pages: Math.max(first.size, third.size),
  });
  return {
    meanwhile: done,
    survey: {
      processes: pids.length,
      privateBytes: sum((kind) => kind.anonymous + kind.swapped),
      swappedBytes: sum((kind) => kind.swapped),
      sharedBytes: sum((kind) => kind.shared),
      ...content,
      readRateBpms: sample.readRateBpms,
      dirtyRateBpms: writing.pagesPerMs * PAGE_BYTES * scale,
      hotBytes: writing.hotPages * PAGE_BYTES * scale,
    },
  };
}

/**
 * How an app writes, from how many pages two spans, and both together, found changed.
 *
 * The pages that both spans saw written tell how many there are to be written, as animals caught twice tell of a
 * population (Lincoln and Petersen): `hot = early · late / both`. Of `H` pages written at random, `c` differ after `t`
 * ms with `c = H·(1 − e^(−r·t/H))`, which gives the rate `r`.
 */
export function writingOf(seen: {
  readonly early: { readonly pages: number; readonly spanMs: number };
  readonly late: { readonly pages: number; readonly spanMs: number };
  readonly whole: number;
  readonly pages: number;
}): { pagesPerMs: number; hotPages: number } {
  const { early, late, whole, pages } = seen;
  const most = Math.max(early.pages, late.pages);
  if (most === 0) return { pagesPerMs: 0, hotPages: 0 };
  const both = Math.max(0, early.pages + late.pages - whole);
  const guess = both === 0 ? pages : (early.pages * late.pages) / both;
  const hotPages = Math.min(Math.max(guess, most), Math.max(pages, most));
  const rate = ({ pages: c, spanMs }: { pages: number; spanMs: number }) =>
    (-hotPages * Math.log(1 - Math.min(c / hotPages, 0.98))) / spanMs;
  const spanMs = early.spanMs + late.spanMs;
  return { pagesPerMs: (rate(early) * early.spanMs + rate(late) * late.spanMs) / spanMs, hotPages };
}

class Sample {
  readonly #stride: number;
  #pieces: Buffer[] = [];
  #met = 0;
  #every = 1;
  #zeroPages = 0;
  #pages = 0;
  #distinct = 0;
  #readBytes = 0;
  #readMs = 0;
  #looks = 0;

  constructor(stride: number) {
    this.#stride = stride;
  }

  get readRateBpms(): number {
    return this.#readBytes / Math.max(this.#readMs, 0.1);
  }

  async look(pids: readonly number[], signal: AbortSignal): Promise<Look> {
    const found = new Map<string, bigint>();
    const first = this.#looks++ === 0;
    const contents = new Set<bigint>();
    const beganAt = performance.now();
    for (const pid of pids) {
      for await (const { address, bytes } of readSample(pid, {
        blockBytes: BLOCK_BYTES,
        stride: this.#stride,
      })) {
        signal.throwIfAborted();
        for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
          const page = bytes.subarray(at, at + PAGE_BYTES);
          const hash = xxh64(page);
          found.set(`${pid}:${address + at}`, hash);
          if (!first) continue;
          if (hash === ZEROS) this.#zeroPages++;
          else contents.add(hash);
        }
        if (first) this.#keep(bytes);
      }
    }
    this.#readMs += performance.now() - beganAt;
    this.#readBytes += found.size * PAGE_BYTES;
    if (first) {
      this.#pages = found.size;
      this.#distinct = contents.size;
    }
    return found;
  }

  /** Of the first look. */
  async content(): Promise<
    Pick<MemorySurvey, 'zeroShare' | 'distinctShare' | 'encodedShare' | 'encodeRateBpms'>
  > {
    const [codec] = codecs;
    const beganAt = performance.now();
    let rawBytes = 0;
    let encodedBytes = 0;
    for (let nth = 0; nth < this.#pieces.length; nth += ENCODED_AT_ONCE) {
      const pieces = this.#pieces.slice(nth, nth + ENCODED_AT_ONCE);
      const encoded = await Promise.all(pieces.map((piece) => codec?.encode(piece) ?? piece));
      rawBytes += pieces.reduce((sum, { length }) => sum + length, 0);
      encodedBytes += encoded.reduce((sum, { length }) => sum + length, 0);
    }
    const durationMs = performance.now() - beganAt;
    const filled = this.#pages - this.#zeroPages;
    return {
      zeroShare: this.#pages === 0 ? 0 : this.#zeroPages / this.#pages,
      distinctShare: filled === 0 ? 1 : this.#distinct / filled,
      encodedShare: rawBytes === 0 ? 1 : Math.min(1, encodedBytes / rawBytes),
      encodeRateBpms: rawBytes / Math.max(durationMs, 0.1),
    };
  }

  /** Blocks from all over the memory: ever fewer of them as there come more. */
  #keep(block: Buffer): void {
    if (this.#met++ % this.#every !== 0 || isZero(block)) return;
    if (this.#pieces.length >= ENCODED_BYTES / BLOCK_BYTES) {
      this.#pieces = this.#pieces.filter((_, nth) => nth % 2 === 0);
      this.#every *= 2;
    }
    this.#pieces.push(Buffer.from(block));
  }
}

const ZEROS = xxh64(Buffer.alloc(PAGE_BYTES));
const zeroBlock = Buffer.alloc(BLOCK_BYTES);

function isZero(block: Buffer): boolean {
  return zeroBlock.subarray(0, block.length).equals(block);
}

function changed(before: Look, after: Look): number {
  let pages = 0;
  for (const [key, hash] of after) if (before.get(key) !== hash) pages++;
  return pages;
}

interface Kinds {
  readonly anonymous: number;
  readonly swapped: number;
  readonly shared: number;
}

/** In bytes; nothing of a process that has ended. See proc_pid_smaps(5). */
async function kindsOf(pid: number): Promise<Kinds> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const bytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0) * 1024;
  return { anonymous: bytes('Anonymous'), swapped: bytes('Swap'), shared: bytes('Pss_Shmem') };
}

async function atLeast(ms: number, since: number, signal: AbortSignal): Promise<void> {
  const leftMs = ms - (performance.now() - since);
  if (leftMs > 0) await sleep(leftMs, undefined, { signal });
}
