import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import { innerPid, type Layout, type Layouts } from './layout.ts';
import type { PageIndex } from './page-index.ts';
import { BufferPair, type PageBuffers, PageKeeper } from './page-keeper.ts';
import { readMemory } from './process-memory.ts';

/** More rounds would only chase an app that writes faster than they read. */
const MOST_ROUNDS = 5;
/** What a round must bring for another one to be worth it. */
const WORTHWHILE_BYTES = 1024 * 1024;
/** As many pages as an index takes at about 100 bytes each without filling this process's heap: 16 GiB. */
const MOST_BYTES = 4 * 1024 * 1024 * PAGE_BYTES;
/** A round that brings more than this share of the one before does not converge. */
const CONVERGING = 0.7;

export interface Rounds {
  /** How many were made. */
  count: number;
  /** Of pages that were new, in all of them. */
  newBytes: number;
  /** Where the pages were in the last whole round. */
  layouts: Layouts;
}

/**
 * Read the memory of processes that run, again and again, and give the pages that were not met before, in buffers of whole
 * pages. Each round brings what was written since the last one; they end when that is little, or does not get less.
 *
 * @param limitBytes of new pages: what the other end will keep
 */
export async function* newPages(
  processes: () => Promise<readonly number[]>,
  index: PageIndex,
  buffers: PageBuffers,
  options: { limitBytes: number; rounds: Rounds; signal: AbortSignal },
): AsyncGenerator<Piece> {
  const { rounds, signal } = options;
  const limitBytes = Math.min(options.limitBytes, MOST_BYTES);
  const isFull = () => rounds.newBytes + PAGE_BYTES > limitBytes;
  const keeper = new PageKeeper(index, buffers);
  const scratch = new BufferPair(buffers);
  let previousBytes = Number.POSITIVE_INFINITY;
  try {
    while (rounds.count < MOST_ROUNDS && !isFull()) {
      const before = rounds.newBytes;
      const layouts: Layouts = new Map();
      for (const pid of await processes()) {
        const layout: Layout = new Map();
        for await (const { address, bytes } of readMemory(pid, scratch.next)) {
          signal.throwIfAborted();
          for (let at = 0; at < bytes.length && !isFull(); at += PAGE_BYTES) {
            const known = index.size;
            layout.set(address + at, keeper.keep(bytes.subarray(at, at + PAGE_BYTES)));
            rounds.newBytes += (index.size - known) * PAGE_BYTES;
          }
          yield* keeper.full();
          if (isFull()) break;
        }
        const pidInside = await innerPid(pid);
        if (pidInside !== undefined) layouts.set(pidInside, layout);
      }
      rounds.count++;
      if (rounds.layouts.size === 0 || !isFull()) rounds.layouts = layouts;
      const broughtBytes = rounds.newBytes - before;
      if (broughtBytes < WORTHWHILE_BYTES || broughtBytes > previousBytes * CONVERGING) break;
      previousBytes = broughtBytes;
    }
    yield* keeper.rest();
  } finally {
    scratch.giveBack();
  }
}
