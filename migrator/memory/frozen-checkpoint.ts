import type { Pagemap } from '../criu/pagemap.ts';
import type { BufferStore } from '../transfer/buffers.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { readImages } from '../transfer/image-reader.ts';
import type { Piece } from '../transfer/piece.ts';
import { within } from '../within.ts';
import { BLOCK_PAGES, PageState, type ReadSlot } from './block.ts';
import { changedPages } from './changed-pages.ts';
import { FrozenProcesses } from './frozen-processes.ts';
import { knownPages } from './known-pages.ts';
import { chooseLater, type Looked, mostChangedBytes, nothingLooked } from './later.ts';
import { LeftMemory } from './left-memory.ts';
import { Effort } from './pace.ts';
import { HASH_WORDS } from './page-hash.ts';
import type { PageIndex } from './page-index.ts';
import { PageKeeper } from './page-keeper.ts';
import type { PageReaders } from './page-readers.ts';
import type { PageTable } from './page-table.ts';
import type { SeenAhead } from './seen-ahead.ts';

export interface FrozenCheckpoint {
  /** Where CRIU writes its images, of everything but the memory that it leaves in place. */
  readonly dir: string;
  /** Settles when it is done. */
  readonly written: Promise<void>;
  /** The frozen processes, by the pids of this host. */
  readonly processes: () => Promise<readonly number[]>;
  readonly readers: PageReaders;
  /** What the other end keeps, and what is known of each process; both empty when nothing was sent ahead. */
  readonly index: PageIndex;
  readonly tables: ReadonlyMap<number, PageTable>;
  readonly buffers: BufferStore;
  /** That memory may follow when the app runs on; without it nothing does. */
  readonly following?: Following | undefined;
  readonly signal: AbortSignal;
}

export interface Following {
  /** At which what has changed goes over, in bytes a millisecond. */
  readonly rateBpms: number;
  /** Told what is found out of memory. */
  readonly seen: SeenAhead;
}

/**
 * The checkpoint of a frozen container, put together from CRIU's images and from memory that is read here, by all threads
 * at once: a checkpoint like any other at the other end.
 *
 * It is read while CRIU still writes, and what is new is sent. CRIU's own code is in the processes by then, and a few
 * pages may not be theirs. So only what turns out to be as it is known, hash by hash, is settled by that; everything else
 * is read again when CRIU is gone. Without contents to go by (see `PageIndex`) nothing is read before that.
 *
 * Where memory may follow, only the areas an app touches first are restored at once, see `chooseLater`.
 *
 * @throws HoldfastError `MEMORY_UNREADABLE`, `MEMORY_READER_FAILED`, what `written` rejects with, the reason of `signal`
 */
export async function* frozenCheckpoint(options: FrozenCheckpoint): AsyncGenerator<Piece> {
  const { dir, written, readers, index, tables, buffers, following, signal } = options;
  const frozen = await FrozenProcesses.open(await options.processes());
  const looked = nothingLooked();
  try {
    following?.seen.follow(frozen);
    readers.effort = Effort.behind;
    if (index.byContent) yield* lookAhead(frozen, looked, options);
    await within(written, signal);
    readers.effort = Effort.full;
    const images = readImages(dir, buffers, { signal });
    const left = new LeftMemory(frozen, { readers, tables, hashed: index.byContent, signal });
    const later =
      following && ((pagemaps: Iterable<Pagemap>) => chooseLater(pagemaps, looked, following.rateBpms));
    yield* changedPages(images, { dir, index, layouts: tables, buffers, left, later });
  } finally {
    await frozen.close();
  }
}

/** Read what is known until CRIU is done, and keep what is new. Which other pages there are CRIU will say. */
async function* lookAhead(
  frozen: FrozenProcesses,
  looked: Looked,
  options: FrozenCheckpoint,
): AsyncGenerator<Piece> {
  const { written, readers, index, tables, buffers, following, signal } = options;
  const keeper = new PageKeeper(index, buffers);
  const mostPages = following ? mostChangedBytes(following.rateBpms) / PAGE_BYTES : Number.POSITIVE_INFINITY;
  let done = false;
  const stop = () => {
    done = true;
  };
  written.then(stop, stop);
  const all = [...frozen].flatMap(([pid, { memory, seen }]) => {
    const table = tables.get(pid);
    return table === undefined ? [] : [{ seen, ...knownPages(memory, table) }];
  });
  for (const part of ['sample', 'rest'] as const) {
    // What becomes of memory that may follow rests on the sample: that takes but a moment.
    const isNeeded = part === 'sample' && following !== undefined;
    for (const { seen, [part]: requests } of all) {
      // No more is asked for then, but what was is made use of.
      const asked = takeWhile(requests, () => !done || isNeeded);
      for await (const { request, slot } of readers.read(asked, signal)) {
        seen.see(request.address, slot.states);
        count(slot, part === 'sample', looked);
        // With more than that memory stays here, and is not to be sent twice.
        if (looked.changedPages <= mostPages) keepChanged(slot, keeper);
        yield* keeper.full();
      }
    }
  }
  yield* keeper.rest();
}

function count({ states }: ReadSlot, isSample: boolean, looked: Looked): void {
  let same = 0;
  let changed = 0;
  for (const state of states) {
    if (state === PageState.same) same++;
    else if (state === PageState.changed) changed++;
  }
  looked.samePages += same;
  looked.changedPages += changed;
  if (!isSample) return;
  looked.sample.pages += same + changed;
  looked.sample.changedPages += changed;
}

function keepChanged({ states, hashes, bytes }: ReadSlot, keeper: PageKeeper): void {
  let at = 0;
  for (let page = 0; page < BLOCK_PAGES; page++) {
    if (states[page] !== PageState.changed) continue;
    keeper.keep(bytes.subarray(at, at + PAGE_BYTES), hashes, page * HASH_WORDS);
    at += PAGE_BYTES;
  }
}

function* takeWhile<T>(items: Iterable<T>, goesOn: () => boolean): Generator<T> {
  for (const item of items) {
    if (!goesOn()) return;
    yield item;
  }
}
