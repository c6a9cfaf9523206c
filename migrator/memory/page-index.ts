import { xxh64 } from '@node-rs/xxhash';
import { PAGE_BYTES, PartFrom } from '../transfer/frame.ts';

const SECOND_SEED = 0x9e3779b97f4a7c15n;

/**
 * Which pages the destination keeps, and where. A page is known by two 64-bit hashes of different seeds: two pages that
 * differ share both once in 2^128 by chance, and two such hashes cost less here than one of 128 bits. They do not hold
 * against somebody who crafts pages, whatever the seeds: see docs/transfer.md.
 */
export class PageIndex {
  readonly #places = new Map<bigint, number>();
  /** By place, counted in pages. */
  readonly #seconds: bigint[] = [];

  constructor() {
    this.#places.set(xxh64(Buffer.alloc(PAGE_BYTES)), PartFrom.zeros);
  }

  /** Pages that are kept. */
  get size(): number {
    return this.#seconds.length;
  }

  /** Forget the pages from this place on: they did not arrive. */
  forgetFrom(size: number): void {
    if (size >= this.size) return; // Looking through all of them takes time, and the app is frozen.
    this.#seconds.length = size;
    for (const [first, place] of this.#places) if (place >= size) this.#places.delete(first);
  }

  /** Where the page is kept, in pages from the first one; `PartFrom.zeros` for zeros; undefined when it is not known. */
  find(page: Uint8Array): number | undefined {
    const place = this.#places.get(xxh64(page));
    if (place === undefined) return undefined;
    if (place === PartFrom.zeros) return isZero(page) ? PartFrom.zeros : undefined;
    return this.#seconds[place] === xxh64(page, SECOND_SEED) ? place : undefined;
  }

  /** Where the page is kept: where it was met before, or, when it is new, at the next place, which is then `size - 1`. */
  place(page: Uint8Array): number {
    const known = this.find(page);
    if (known !== undefined) return known;
    const first = xxh64(page);
    // A page whose first hash is taken by another is never found again: it is kept anew whenever it is met.
    if (!this.#places.has(first)) this.#places.set(first, this.size);
    this.#seconds.push(xxh64(page, SECOND_SEED));
    return this.size - 1;
  }
}

const zeroPage = Buffer.alloc(PAGE_BYTES);

function isZero(page: Uint8Array): boolean {
  return zeroPage.equals(page);
}
