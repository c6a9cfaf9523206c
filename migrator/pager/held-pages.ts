import { PAGE_BYTES } from '../transfer/frame.ts';

/** What came in one answer. It takes its memory until the last of its pages is given away. */
interface Block {
  readonly bytes: Uint8Array;
  left: number;
}

/** Pages that came from the source and were not given away yet, by their numbers. */
export class HeldPages {
  readonly #pages = new Map<number, { block: Block; offset: number }>();
  #sizeBytes = 0;

  /** The memory they take, all of their blocks. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** @param pages which are wanted of the block, and where in it each begins */
  add(bytes: Uint8Array, pages: readonly { page: number; offset: number }[]): void {
    if (pages.length === 0) return;
    const block: Block = { bytes, left: pages.length };
    this.#sizeBytes += bytes.length;
    for (const { page, offset } of pages) this.#pages.set(page, { block, offset });
  }

  /** Give away a page and those after it, `most` at most, for as long as they lie side by side here too. */
  take(first: number, most: number): Uint8Array {
    const start = this.#pages.get(first);
    if (start === undefined) throw new RangeError(`page ${first} is not held`);
    let count = 0;
    for (; count < most; count++) {
      const next = this.#pages.get(first + count);
      if (next?.block !== start.block || next.offset !== start.offset + count * PAGE_BYTES) break;
      this.#forget(first + count, start.block);
    }
    return start.block.bytes.subarray(start.offset, start.offset + count * PAGE_BYTES);
  }

  /** Throw away what has been here longest until no more than `sizeBytes` are taken. Gives the pages thrown away. */
  *shrinkTo(sizeBytes: number): Generator<number> {
    for (const [page, { block }] of this.#pages) {
      if (this.#sizeBytes <= sizeBytes) return;
      this.#forget(page, block);
      yield page;
    }
  }

  #forget(page: number, block: Block): void {
    this.#pages.delete(page);
    block.left--;
    if (block.left === 0) this.#sizeBytes -= block.bytes.length;
  }
}
