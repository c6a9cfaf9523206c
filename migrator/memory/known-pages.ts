import type { ReadRequest } from './page-readers.ts';
import type { PageTable } from './page-table.ts';
import type { ProcessMemory } from './process-memory.ts';

/** So many places stand for all, or one of each 32. */
const SAMPLES = 16;
const SAMPLED = 32;

export interface KnownPages {
  /** What tells what the rest is like: to be looked at first. */
  readonly sample: readonly ReadRequest[];
  readonly rest: readonly ReadRequest[];
}

/**
 * All that is known of a process, to be read and compared: no look at its memory map is needed for that. Of the rest, where
 * least is known in a place comes first: what every request of an app touches lies in many small areas, its masses of data in
 * few large ones.
 */
export function knownPages(memory: ProcessMemory, table: PageTable): KnownPages {
  const places = [...table.pages()].map(({ address, runs, block }) => {
    const known = block.hashes.buffer;
    return { address, runs, memory: memory.descriptor, known, hashed: true, pages: pagesIn(runs) };
  });
  const step = Math.max(1, Math.min(Math.floor(places.length / SAMPLES), SAMPLED));
  return {
    sample: places.filter((_, nth) => nth % step === 0),
    rest: places.filter((_, nth) => nth % step !== 0).sort((a, b) => a.pages - b.pages),
  };
}

function pagesIn(runs: readonly number[]): number {
  let pages = 0;
  for (let at = 1; at < runs.length; at += 2) pages += runs[at] ?? 0;
  return pages;
}
