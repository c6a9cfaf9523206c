import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import type { PageIndex } from './page-index.ts';
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
  buffers: { take(): Buffer; give(buffer: Buffer): void },
  options: { limitBytes: number; rounds: Rounds; signal: AbortSignal },
): AsyncGenerator<Piece> {
  const { rounds, signal } = options;
  const limitBytes = Math.min(options.limitBytes, MOST_BYTES);
  const isFull = () => rounds.newBytes + PAGE_BYTES > limitBytes;
  const scratch = buffers.take();
  let previousBytes = Number.POSITIVE_INFINITY;
  let buffer = buffers.take();
  let filled = 0;
  try {
    while (rounds.count < MOST_ROUNDS && !isFull()) {
      const before = rounds.newBytes;
      for (const pid of await processes()) {
        for await (const piece of readMemory(pid, () => scratch)) {
          signal.throwIfAborted();
          if (isFull()) break;
          for (let at = 0; at < piece.length && !isFull(); at += PAGE_BYTES) {
            const page = piece.subarray(at, at + PAGE_BYTES);
            if (!index.add(page)) continue;
            rounds.newBytes += PAGE_BYTES;
            page.copy(buffer, filled);
            filled += PAGE_BYTES;
            if (filled < buffer.length) continue;
            yield { type: 'keep', raw: buffer, buffer };
            buffer = buffers.take();
            filled = 0;
          }
        }
      }
      rounds.count++;
      const broughtBytes = rounds.newBytes - before;
      if (broughtBytes < WORTHWHILE_BYTES || broughtBytes > previousBytes * CONVERGING) break;
      previousBytes = broughtBytes;
    }
    if (filled > 0) yield { type: 'keep', raw: buffer.subarray(0, filled), buffer };
    else buffers.give(buffer);
  } finally {
    buffers.give(scratch);
  }
}
