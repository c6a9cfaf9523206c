import { PAGE_BYTES } from '../transfer/frame.ts';
import { HASH_WORDS } from './page-hash.ts';

/** Memory is read and remembered in blocks of the address space, whatever areas the process has in them. */
export const BLOCK_PAGES = 256;
export const BLOCK_BYTES = BLOCK_PAGES * PAGE_BYTES;

/** Pages of one block, in the order of their addresses. */
export interface PagesOfBlock {
  /** Of the block. */
  readonly address: number;
  /** Pairs of numbers: the first page, counted from the block's beginning, and how many follow one another. */
  readonly runs: readonly number[];
}

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** What a reader says of a page. */
export const PageState = {
  /** Not asked for, or no longer mapped. */
  unread: 0,
  /** As it is known. */
  same: 1,
  /** Its bytes come with this, and its hash if it was asked for. */
  changed: 2,
  /** All zeros, and so not among the bytes. Said only where no hashes were asked for: by those zeros are known too. */
  zero: 3,
} as const;

/** Where a reader puts what it has read: memory that threads share, used again and again. */
export class ReadSlot {
  static readonly sizeBytes = BLOCK_BYTES + BLOCK_PAGES * (HASH_WORDS * 4 + 1);
  readonly shared = new SharedArrayBuffer(ReadSlot.sizeBytes);
  /** The pages that changed, one after the other. */
  readonly bytes = Buffer.from(this.shared, 0, BLOCK_BYTES);
  /** Of the pages that changed, at their number in the block, where they were asked for. */
  readonly hashes = new Uint32Array(this.shared, BLOCK_BYTES, BLOCK_PAGES * HASH_WORDS);
  /** `PageState` of each page. */
  readonly states = new Uint8Array(this.shared, BLOCK_BYTES + this.hashes.byteLength, BLOCK_PAGES);
}

/** Cut ranges of whole pages, in the order of their addresses, into blocks. */
export async function* blocksOf(
  ranges: AsyncIterable<Range> | Iterable<Range>,
): AsyncGenerator<PagesOfBlock> {
  let block: { address: number; runs: number[] } | undefined;
  for await (const { start, end } of ranges) {
    for (let at = start; at < end; ) {
      const address = at - (at % BLOCK_BYTES);
      if (block?.address !== address) {
        if (block) yield block;
        block = { address, runs: [] };
      }
      const until = Math.min(end, address + BLOCK_BYTES);
      block.runs.push((at - address) / PAGE_BYTES, (until - at) / PAGE_BYTES);
      at = until;
    }
  }
  if (block) yield block;
}
