import type { ReadRequest } from './page-readers.ts';
import type { PageTable } from './page-table.ts';
import type { ProcessMemory } from './process-memory.ts';

/** So many places are looked at before all others, or one of each 32. */
const SAMPLES = 16;
const SAMPLED = 32;

export interface KnownRequest extends ReadRequest {
  /** One of those that stand for all. */
  readonly isSample: boolean;
}

/**
 * All that is known of a process, to be read and compared: no look at its memory map is needed for that. A sample comes first,
 * which tells what the rest is like. Then where least is known in a place: what every request of an app touches lies in many
 * small areas, its masses of data in few large ones.
 */
export async function* knownPages(memory: ProcessMemory, table: PageTable): AsyncGenerator<KnownRequest> {
  const all = [...table.pages()];
  const sampled = Math.max(1, Math.min(Math.floor(all.length / SAMPLES), SAMPLED));
  const places = all.map((place, nth) => ({
    ...place,
    pages: pagesIn(place.runs),
    isSample: nth % sampled === 0,
  }));
  const inOrder = places.sort((a, b) => Number(b.isSample) - Number(a.isSample) || a.pages - b.pages);
  for (const { address, runs, block, isSample } of inOrder) {
    const known = block.hashes.buffer;
    yield { address, runs, memory: memory.descriptor, known, hashed: true, isSample };
  }
}

function pagesIn(runs: readonly number[]): number {
  let pages = 0;
  for (let at = 1; at < runs.length; at += 2) pages += runs[at] ?? 0;
  return pages;
}
