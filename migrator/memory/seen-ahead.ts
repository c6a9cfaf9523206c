import { PAGE_BYTES } from '../transfer/frame.ts';
import { BLOCK_BYTES } from './block.ts';
import { FrozenProcesses, type SeenPages } from './frozen-processes.ts';
import { knownPages } from './known-pages.ts';
import { Effort } from './pace.ts';
import { HASH_BYTES, HASH_WORDS } from './page-hash.ts';
import type { PageReaders } from './page-readers.ts';
import type { PageTable } from './page-table.ts';

/** What has been seen of frozen processes so far, before anybody asked: which pages are as they were sent ahead. */
export class SeenAhead {
  readonly #tables: ReadonlyMap<number, PageTable>;
  readonly #seen = new Map<number, SeenPages>();

  /** @param tables what was sent ahead of each process, by the pids they have inside the container */
  constructor(tables: ReadonlyMap<number, PageTable>) {
    this.#tables = tables;
  }

  /**
   * Look through all of it, while CRIU still works on the processes: what turns out to be as it is known is settled by
   * that, see `frozenCheckpoint`.
   *
   * @param pids of this host
   * @throws HoldfastError `MEMORY_READER_FAILED`, the reason of `signal`
   */
  async look(pids: readonly number[], readers: PageReaders, signal: AbortSignal): Promise<void> {
    const frozen = await FrozenProcesses.open(pids);
    try {
      readers.effort = Effort.behind;
      for (const [pid, { memory, seen }] of frozen) {
        const table = this.#tables.get(pid);
        if (!table) continue;
        this.#seen.set(pid, seen);
        for await (const { request, slot } of readers.read(knownPages(memory, table), signal)) {
          seen.see(request.address, slot.states);
        }
      }
    } finally {
      await frozen.close();
    }
  }

  /** Whether this page is known to hold what `hashes` says, as `writeHash` wrote it at `offset`. */
  holds(pid: number, address: number, hashes: Buffer, offset: number): boolean {
    if (!this.#seen.get(pid)?.isSame(address)) return false;
    const inBlock = address % BLOCK_BYTES;
    const block = this.#tables.get(pid)?.block(address - inBlock);
    const at = (inBlock / PAGE_BYTES) * HASH_WORDS;
    for (let word = 0; word < HASH_WORDS; word++) {
      if (block?.hashes[at + word] !== hashes.readUInt32LE(offset + word * (HASH_BYTES / HASH_WORDS)))
        return false;
    }
    return true;
  }
}
