import type { ReadRequest } from './page-readers.ts';
import type { PageTable } from './page-table.ts';
import type { ProcessMemory } from './process-memory.ts';

/**
 * All that is known of a process, to be read and compared: no look at its memory map is needed for that. Where least is known
 * in a place comes first: what every request of an app touches lies in many small areas, its masses of data in few large ones.
 */
export async function* knownPages(memory: ProcessMemory, table: PageTable): AsyncGenerator<ReadRequest> {
  const places = [...table.pages()].map((place) => ({ ...place, pages: pagesIn(place.runs) }));
  for (const { address, runs, block } of places.sort((a, b) => a.pages - b.pages)) {
    yield { address, runs, memory: memory.descriptor, known: block.hashes.buffer, hashed: true };
  }
}

function pagesIn(runs: readonly number[]): number {
  let pages = 0;
  for (let at = 1; at < runs.length; at += 2) pages += runs[at] ?? 0;
  return pages;
}
