import { MOST_COMPARED } from '../memory/memory-frame.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import type { LazyMemory } from './lazy-memory.ts';
import type { PageStore } from './page-store.ts';

/** Pages of a checkpoint by their numbers, see `LazyMemory`. */
export interface PageRange {
  readonly first: number;
  readonly pages: number;
}

/** Which of the checkpoint's pages the store has something for. */
export function storedRanges(memory: LazyMemory, store: PageStore): PageRange[] {
  const ranges: PageRange[] = [];
  for (const { pid, address, first, pages } of memory.runs) {
    for (let page = 0; page < pages; ) {
      const reach = Math.min(store.reach(pid, address + page * PAGE_BYTES), pages - page);
      if (reach > 0) ranges.push({ first: first + page, pages: reach });
      page += Math.max(reach, 1);
    }
  }
  return ranges;
}

/**
 * In which order, and how much at a time, they are compared with the source. The shortest ranges first: what every
 * request of an app touches lies in many small areas, its masses of data in few large ones.
 */
export function* toCompare(ranges: readonly PageRange[]): Generator<PageRange> {
  for (const { first, pages } of [...ranges].sort((a, b) => a.pages - b.pages)) {
    for (let done = 0; done < pages; done += MOST_COMPARED) {
      yield { first: first + done, pages: Math.min(MOST_COMPARED, pages - done) };
    }
  }
}
