import type { ReadRequest } from './page-readers.ts';
import type { PageTable } from './page-table.ts';
import type { ProcessMemory } from './process-memory.ts';

/** All that is known of a process, to be read and compared: no look at its memory map is needed for that. */
export async function* knownPages(memory: ProcessMemory, table: PageTable): AsyncGenerator<ReadRequest> {
  for (const { address, runs, block } of table.pages()) {
    yield { address, runs, memory: memory.descriptor, known: block.hashes.buffer, hashed: true };
  }
}
