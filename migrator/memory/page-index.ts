import { PartFrom } from '../transfer/frame.ts';
import { HASH_WORDS, isZeroHash, sameHash, zeroHash } from './page-hash.ts';

const FIRST_CAPACITY = 1024;

/**
 * Which pages the destination keeps, and where, by their hashes. A hash table with open addressing in two typed arrays,
 * 32 bytes a page at most: of 16 GiB there are four million, and as objects they would fill the heap.
 */
export class PageIndex {
  /** Whether pages with the same hashes are taken for the same. If not, none is ever found again. */
  readonly byContent: boolean;
  /** By place. */
  #hashes = new Uint32Array(FIRST_CAPACITY * HASH_WORDS);
  /** Place + 1 where a hash leads to, 0 where nothing is; at least twice as many as there are places. */
  #slots = new Int32Array(FIRST_CAPACITY * 2);
  #size = 0;

  constructor({ byContent = true } = {}) {
    this.byContent = byContent;
  }

  /** Pages that are kept. */
  get size(): number {
    return this.#size;
  }

  /** Where the page of this hash is kept, in pages from the first one; `PartFrom.zeros` for zeros. */
  find(hashes: Uint32Array, at = 0): number | undefined {
    if (!this.byContent) return undefined;
    if (isZeroHash(hashes, at)) return PartFrom.zeros;
    const found = this.#slots[this.#slotOf(hashes, at)] ?? 0;
    return found === 0 ? undefined : found - 1;
  }

  /** Where the page is kept: where it was met before, or, when it is new, at the next place, which is then `size - 1`. */
  place(hashes: Uint32Array, at = 0): number {
    const known = this.find(hashes, at);
    if (known !== undefined) return known;
    if (!this.byContent) return this.#size++;
    if ((this.#size + 1) * HASH_WORDS > this.#hashes.length) this.#grow();
    const place = this.#size++;
    this.#hashes.set(hashes.subarray(at, at + HASH_WORDS), place * HASH_WORDS);
    this.#slots[this.#slotOf(hashes, at)] = place + 1;
    return place;
  }

  /** Write the hashes of the page that is kept at a place, as `writeHash` does. */
  writeHash(place: number, target: Buffer, offset: number): void {
    const hashes = place === PartFrom.zeros ? zeroHash : this.#hashes.subarray(place * HASH_WORDS);
    for (let word = 0; word < HASH_WORDS; word++) target.writeUInt32LE(hashes[word] ?? 0, offset + word * 4);
  }

  /** Forget the pages from this place on: they did not arrive. */
  forgetFrom(size: number): void {
    // The last to come goes first: then no page is ever looked for beyond the slot that becomes empty.
    while (this.byContent && this.#size > size) {
      this.#slots[this.#slotOf(this.#hashes, (this.#size - 1) * HASH_WORDS)] = 0;
      this.#size--;
    }
    this.#size = Math.min(this.#size, size);
  }

  /** The slot that leads to this hash, or the empty one where it belongs. */
  #slotOf(hashes: Uint32Array, at: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = (hashes[at] ?? 0) & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots[slot] ?? 0;
      if (found === 0 || sameHash(this.#hashes, (found - 1) * HASH_WORDS, hashes, at)) return slot;
    }
  }

  #grow(): void {
    const hashes = new Uint32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let place = 0; place < this.#size; place++) {
      this.#slots[this.#slotOf(hashes, place * HASH_WORDS)] = place + 1;
    }
  }
}
