import { PAGE_BYTES } from '../transfer/frame.ts';
import { BLOCK_BYTES, BLOCK_PAGES, type PagesOfBlock } from './block.ts';
import type { Layout } from './layout.ts';
import { HASH_WORDS } from './page-hash.ts';

/** What is known of the pages of one block. */
export class TableBlock {
  /** Shared with the readers. All zeros for a page that is not known. */
  readonly hashes = new Uint32Array(new SharedArrayBuffer(BLOCK_PAGES * HASH_WORDS * 4));
  readonly places = new Int32Array(BLOCK_PAGES);
  /** The round in which the page was met last; 0 for never. */
  readonly metIn = new Uint8Array(BLOCK_PAGES);

  know(page: number, hashes: Uint32Array, place: number): void {
    const at = page * HASH_WORDS;
    this.hashes.set(hashes.subarray(at, at + HASH_WORDS), at);
    this.places[page] = place;
  }

  forget(page: number): void {
    this.hashes.fill(0, page * HASH_WORDS, (page + 1) * HASH_WORDS);
    this.metIn[page] = 0;
  }
}

/**
 * A process's memory as it was met last: at each address the hash of the page and where it is kept, 21 bytes a page.
 * Addresses are all it goes by: areas may come, go, grow and move as they like, a page is what is read at its address.
 */
export class PageTable implements Layout {
  readonly #blocks = new Map<number, TableBlock>();
  /** Pages are asked for one after the other, millions of them. */
  #last: { readonly address: number; readonly block: TableBlock | undefined } | undefined;
  /** Pages that were not met since this round are none of the layout: the process has given them up. */
  since = 1;

  /** @param address of the block */
  block(address: number): TableBlock | undefined {
    if (this.#last?.address !== address) this.#last = { address, block: this.#blocks.get(address) };
    return this.#last.block;
  }

  /** The block at this address, a new one when nothing of it is known. */
  ensure(address: number): TableBlock {
    const known = this.#blocks.get(address);
    if (known) return known;
    const block = new TableBlock();
    this.#last = undefined;
    this.#blocks.set(address, block);
    return block;
  }

  /** Where the page is kept. */
  get(address: number): number | undefined {
    const offset = address % BLOCK_BYTES;
    const block = this.block(address - offset);
    const page = offset / PAGE_BYTES;
    return block && (block.metIn[page] ?? 0) >= this.since ? block.places[page] : undefined;
  }

  *[Symbol.iterator](): Generator<[address: number, place: number]> {
    for (const [address, block] of this.#inOrder()) {
      for (let page = 0; page < BLOCK_PAGES; page++) {
        if ((block.metIn[page] ?? 0) >= this.since)
          yield [address + page * PAGE_BYTES, block.places[page] ?? 0];
      }
    }
  }

  /** Where the pages of the layout are, and what is known of them, in the order of their addresses. */
  *pages(): Generator<PagesOfBlock & { readonly block: TableBlock }> {
    for (const [address, block] of this.#inOrder()) {
      const runs: number[] = [];
      for (let page = 0; page < BLOCK_PAGES; page++) {
        const first = page;
        while (page < BLOCK_PAGES && (block.metIn[page] ?? 0) >= this.since) page++;
        if (page > first) runs.push(first, page - first);
      }
      if (runs.length > 0) yield { address, runs, block };
    }
  }

  #inOrder(): [address: number, block: TableBlock][] {
    return [...this.#blocks].sort(([a], [b]) => a - b);
  }
}
