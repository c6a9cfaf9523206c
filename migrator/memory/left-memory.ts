import { PageFlag, type PageRun } from '../criu/pagemap.ts';
import { PAGE_BYTES, PartFrom } from '../transfer/frame.ts';
import { BLOCK_BYTES, blocksOf, PageState, type Range } from './block.ts';
import { type FrozenProcess, type FrozenProcesses, memoryUnreadable } from './frozen-processes.ts';
import { HASH_WORDS } from './page-hash.ts';
import type { BlockRead, PageReaders, ReadRequest } from './page-readers.ts';
import type { PageTable } from './page-table.ts';

/** Whether CRIU says of these pages that they are there, and has left them in the process. */
export function isLeft({ flags }: PageRun): boolean {
  return (flags & PageFlag.lazy) !== 0 && (flags & PageFlag.present) === 0;
}

/** The memory of a frozen container that CRIU left in place, once CRIU is gone. */
export class LeftMemory {
  readonly #frozen: FrozenProcesses;
  readonly #readers: PageReaders;
  readonly #tables: ReadonlyMap<number, PageTable>;
  readonly #hashed: boolean;
  readonly #signal: AbortSignal;

  constructor(
    frozen: FrozenProcesses,
    known: {
      readonly readers: PageReaders;
      readonly tables: ReadonlyMap<number, PageTable>;
      /** Whether pages are known by their hashes. */
      readonly hashed: boolean;
      readonly signal: AbortSignal;
    },
  ) {
    this.#frozen = frozen;
    this.#readers = known.readers;
    this.#tables = known.tables;
    this.#hashed = known.hashed;
    this.#signal = known.signal;
  }

  /**
   * A process's pages that these runs leave in place. They must be closed.
   *
   * @param pid inside the container
   * @throws HoldfastError `MEMORY_UNREADABLE` when there is no such process
   */
  pages(pid: number, runs: readonly PageRun[]): LeftPages {
    const process = this.#frozen.get(pid);
    const table = this.#tables.get(pid);
    const requests = asked(process, table, runs, this.#hashed);
    return new LeftPages(process, table, this.#readers.read(requests, this.#signal));
  }
}

/** Where pages are kept, asked in the order of their addresses, each once. */
export class LeftPages {
  readonly #process: FrozenProcess;
  readonly #table: PageTable | undefined;
  readonly #reads: AsyncGenerator<BlockRead<ReadRequest>>;
  #read: BlockRead<ReadRequest> | undefined;
  /** How far the pages in the slot have been taken. */
  #takenBytes = 0;

  constructor(
    process: FrozenProcess,
    table: PageTable | undefined,
    reads: AsyncGenerator<BlockRead<ReadRequest>>,
  ) {
    this.#process = process;
    this.#table = table;
    this.#reads = reads;
  }

  /** Whether the page can be taken. If not, `advance` first. */
  has(address: number): boolean {
    return this.#process.seen.isSame(address) || this.#read?.request.address === blockOf(address);
  }

  async advance(): Promise<void> {
    const next = await this.#reads.next();
    if (next.done) throw memoryUnreadable('less was read than was asked for');
    this.#read = next.value;
    this.#takenBytes = 0;
  }

  /**
   * Where the page is kept.
   *
   * @param keep is given a page that is not as it was known, and its hashes, and says where it will be
   * @throws HoldfastError `MEMORY_UNREADABLE`
   */
  take<Place extends number | undefined>(
    address: number,
    keep: (page: Buffer, hashes: Uint32Array, at: number) => Place,
  ): number | Place {
    const block = this.#table?.block(blockOf(address));
    const page = (address % BLOCK_BYTES) / PAGE_BYTES;
    const slot = this.#read?.slot;
    const state = this.#process.seen.isSame(address) ? PageState.same : slot?.states[page];
    if (state === PageState.same && block) return block.places[page] ?? 0;
    if (state === PageState.zero) return PartFrom.zeros;
    if (state !== PageState.changed || slot === undefined) {
      throw memoryUnreadable(`there is no page at 0x${address.toString(16)}`);
    }
    const bytes = slot.bytes.subarray(this.#takenBytes, this.#takenBytes + PAGE_BYTES);
    this.#takenBytes += PAGE_BYTES;
    return keep(bytes, slot.hashes, page * HASH_WORDS);
  }

  async close(): Promise<void> {
    await this.#reads.return(undefined);
  }
}

const blockOf = (address: number) => address - (address % BLOCK_BYTES);

async function* asked(
  { memory, seen }: FrozenProcess,
  table: PageTable | undefined,
  runs: readonly PageRun[],
  hashed: boolean,
): AsyncGenerator<ReadRequest> {
  for await (const pages of blocksOf(unsettled(runs, (address) => seen.isSame(address)))) {
    const known = table?.block(pages.address)?.hashes.buffer;
    yield { ...pages, memory: memory.descriptor, known, hashed };
  }
}

/** Where pages were left that are not known to be as they were. */
function* unsettled(runs: readonly PageRun[], isSame: (address: number) => boolean): Generator<Range> {
  for (const run of runs) {
    if (!isLeft(run)) continue;
    const end = run.address + run.pages * PAGE_BYTES;
    let start: number | undefined;
    for (let at = run.address; at < end; at += PAGE_BYTES) {
      if (!isSame(at)) start ??= at;
      else if (start !== undefined) {
        yield { start, end: at };
        start = undefined;
      }
    }
    if (start !== undefined) yield { start, end };
  }
}
