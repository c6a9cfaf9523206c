import { PAGE_BYTES } from '../transfer/frame.ts';
import { BLOCK_BYTES } from './block.ts';
import type { FrozenProcesses, SeenPages } from './frozen-processes.ts';
import { HASH_BYTES, HASH_WORDS } from './page-hash.ts';
import type { PageTable } from './page-table.ts';

/** What has been seen of frozen processes, before anybody asked: which pages are as they were sent ahead. */
export class SeenAhead {
  readonly #tables: ReadonlyMap<number, PageTable>;
  readonly #seen = new Map<number, SeenPages>();

  /** @param tables what was sent ahead of each process, by the pids they have inside the container */
  constructor(tables: ReadonlyMap<number, PageTable>) {
    this.#tables = tables;
  }

  /** From now on what is seen of these is known here, see `frozenCheckpoint`. */
  follow(frozen: FrozenProcesses): void {
    for (const [pid, { seen }] of frozen) this.#seen.set(pid, seen);
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
