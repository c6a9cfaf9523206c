import { PAGE_BYTES } from '../transfer/frame.ts';
import { BLOCK_BYTES, BLOCK_PAGES, blocksOf, PageState, type Range } from './block.ts';
import { AnswerPart, type Ask } from './memory-frame.ts';
import { HASH_BYTES, HASH_WORDS, isZeroHash } from './page-hash.ts';
import type { PageReaders, ReadRequest } from './page-readers.ts';
import type { ProcessMemories } from './process-memories.ts';
import type { SeenAhead } from './seen-ahead.ts';

export interface ComparedFrom {
  readonly memories: ProcessMemories;
  readonly readers: PageReaders;
  /** What need not be read for it any more. */
  readonly seen: SeenAhead | undefined;
  readonly signal: AbortSignal;
}

/**
 * Which of these pages are as the asker has them, by all threads at once.
 *
 * @param hashes of what the asker keeps, as `writeHash` writes them
 * @returns what becomes of each page, in their order (`AnswerPart`)
 * @throws HoldfastError `MEMORY_UNREADABLE`, `MEMORY_READER_FAILED`, the reason of `signal`
 */
export async function comparePages(
  { pid, address, pages }: Ask,
  hashes: Buffer,
  from: ComparedFrom,
): Promise<Int8Array> {
  const memory = await from.memories.descriptor(pid);
  const end = address + pages * PAGE_BYTES;
  const fates = new Int8Array(pages).fill(AnswerPart.changed);
  const unseen: Range[] = [];
  for (let page = 0; page < pages; page++) {
    const at = address + page * PAGE_BYTES;
    const last = unseen.at(-1);
    if (from.seen?.holds(pid, at, hashes, page * HASH_BYTES)) fates[page] = AnswerPart.kept;
    else if (last?.end === at) unseen[unseen.length - 1] = { start: last.start, end: at + PAGE_BYTES };
    else unseen.push({ start: at, end: at + PAGE_BYTES });
  }
  const requests = async function* (): AsyncGenerator<ReadRequest> {
    for await (const block of blocksOf(unseen)) {
      const known = knownOf(block.address, { address, end }, hashes);
      yield { ...block, memory, known, hashed: true };
    }
  };
  for await (const { request, slot } of from.readers.read(requests(), from.signal)) {
    const first = (request.address - address) / PAGE_BYTES;
    for (let page = Math.max(0, -first); page < BLOCK_PAGES && first + page < pages; page++) {
      const state = slot.states[page];
      if (state === PageState.same) fates[first + page] = AnswerPart.kept;
      else if (state === PageState.changed && isZeroHash(slot.hashes, page * HASH_WORDS)) {
        fates[first + page] = AnswerPart.zeros;
      }
    }
  }
  return fates;
}

/** The part of the hashes that belongs to a block, where the readers look for it. */
function knownOf(block: number, asked: { address: number; end: number }, hashes: Buffer): SharedArrayBuffer {
  const known = new SharedArrayBuffer(BLOCK_PAGES * HASH_BYTES);
  const start = Math.max(block, asked.address);
  const end = Math.min(block + BLOCK_BYTES, asked.end);
  const place = (at: number, origin: number) => ((at - origin) / PAGE_BYTES) * HASH_BYTES;
  hashes.copy(
    new Uint8Array(known),
    place(start, block),
    place(start, asked.address),
    place(end, asked.address),
  );
  return known;
}
