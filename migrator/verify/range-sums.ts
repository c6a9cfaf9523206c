import { Xxh64 } from '@node-rs/xxhash';
import { PAGE_BYTES } from '../transfer/frame.ts';

/** What is hashed at a time: in address space, so that it does not matter where areas begin and end. */
const WINDOW_BYTES = 64 * 1024;
/** What a difference is narrowed down to. */
export const RANGE_BYTES = 1024 * 1024;

/** Of what a window consists; the same addresses may have several. */
export const WindowOf = { pages: 1, pagesOverFile: 2, shared: 3 } as const;
export type WindowOf = (typeof WindowOf)[keyof typeof WindowOf];

const zeros = Buffer.alloc(WINDOW_BYTES);
const HEAD_BYTES = 16;

/**
 * Sums of memory by ranges of its addresses. A page that was never touched and one of zeros are the same to a process,
 * and to these; but for pages over a file, which would show the file's content.
 */
export class RangeSums {
  readonly #unsummed: readonly { readonly address: number; readonly sizeBytes: number }[];
  readonly #sums = new Map<number, Xxh64>();
  readonly #window = Buffer.alloc(WINDOW_BYTES);
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #what: WindowOf = WindowOf.pages;
  /** Where the window begins, and which of its pages are there. */
  #at: number | undefined;
  #pages = 0;
  /** All that was added. */
  sizeBytes = 0;

  constructor(unsummed: readonly { readonly address: number; readonly sizeBytes: number }[]) {
    this.#unsummed = unsummed;
  }

  /** In the order of the addresses, for one kind after another. */
  add(what: WindowOf, address: number, bytes: Buffer): void {
    this.sizeBytes += bytes.length;
    for (let done = 0; done < bytes.length; ) {
      const offset = (address + done) % WINDOW_BYTES;
      const at = address + done - offset;
      if (at !== this.#at || what !== this.#what) this.#open(what, at);
      const length = Math.min(bytes.length - done, WINDOW_BYTES - offset);
      bytes.copy(this.#window, offset, done, done + length);
      for (let page = offset; page < offset + length; page += PAGE_BYTES)
        this.#pages |= 1 << (page / PAGE_BYTES);
      done += length;
    }
  }

  /** All has been added. */
  end(): void {
    this.#close();
    this.#at = undefined;
  }

  /** Where each range begins that is not empty, and its sum. */
  *ranges(): Generator<{ start: number; sum: string }> {
    const starts = [...this.#sums.keys()].sort((a, b) => a - b);
    for (const start of starts) {
      const sum = this.#sums.get(start)?.digest() ?? 0n;
      yield { start, sum: sum.toString(16).padStart(16, '0') };
    }
  }

  #open(what: WindowOf, at: number): void {
    this.#close();
    this.#window.fill(0);
    this.#what = what;
    this.#at = at;
    this.#pages = 0;
  }

  #close(): void {
    const at = this.#at;
    if (at === undefined) return;
    for (const { address, sizeBytes } of this.#unsummed) {
      const from = Math.max(address, at);
      const to = Math.min(address + sizeBytes, at + WINDOW_BYTES);
      if (from < to) this.#window.fill(0, from - at, to - at);
    }
    const isOverFile = this.#what === WindowOf.pagesOverFile;
    if (!isOverFile && this.#window.equals(zeros)) return;
    this.#head.writeBigUInt64LE(BigInt(at), 0);
    this.#head.writeUInt32LE(this.#what, 8);
    this.#head.writeUInt32LE(isOverFile ? this.#pages >>> 0 : 0, 12);
    this.#sumAt(at).update(this.#head).update(this.#window);
  }

  #sumAt(address: number): Xxh64 {
    const start = address - (address % RANGE_BYTES);
    let sum = this.#sums.get(start);
    if (sum === undefined) {
      sum = new Xxh64();
      this.#sums.set(start, sum);
    }
    return sum;
  }
}
