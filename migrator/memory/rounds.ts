import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import { BLOCK_PAGES, blocksOf, PageState } from './block.ts';
import { HASH_WORDS } from './page-hash.ts';
import type { PageIndex } from './page-index.ts';
import { type PageBuffers, PageKeeper } from './page-keeper.ts';
import type { BlockRead, PageReaders, ReadRequest } from './page-readers.ts';
import { PageTable, type TableBlock } from './page-table.ts';
import { ProcessMemory } from './process-memory.ts';
import { judgeRounds, type Round, RoundVerdict } from './round-policy.ts';

export interface Rounds {
  /** How many were made. */
  count: number;
  /** Of pages that were new, in all of them. */
  newBytes: number;
  /** Of new pages, in bytes a millisecond, in the round that brought them fastest; undefined before there was one. */
  rateBpms?: number;
  /** What is known of each process's memory, by the pids inside the container. */
  tables: Map<number, PageTable>;
}

export interface Sources {
  /** The processes as they are now, by the pids of this host. */
  readonly processes: () => Promise<readonly number[]>;
  readonly readers: PageReaders;
}

/**
 * Read the memory of processes that run, again and again, and give the pages that were not met before, in buffers of whole
 * pages. Each round brings what was written since the last one; they end when another one would gain nothing.
 *
 * @param limitBytes of new pages: what the other end will keep
 */
export async function* newPages(
  { processes, readers }: Sources,
  index: PageIndex,
  buffers: PageBuffers,
  options: { limitBytes: number; rounds: Rounds; signal: AbortSignal },
): AsyncGenerator<Piece> {
  const { rounds, signal, limitBytes } = options;
  const isFull = () => rounds.newBytes + PAGE_BYTES > limitBytes;
  const keeper = new PageKeeper(index, buffers);
  const made: Round[] = [];
  while (judgeRounds(made) === RoundVerdict.again && !isFull()) {
    const beganAt = performance.now();
    const before = rounds.newBytes;
    const round = rounds.count + 1;
    const met = new Map<number, PageTable>();
    for (const pid of await processes()) {
      const process = await ProcessMemory.open(pid);
      if (process === undefined) continue; // It has ended.
      try {
        const table = rounds.tables.get(process.innerPid) ?? new PageTable();
        met.set(process.innerPid, table);
        for await (const read of readers.read(asked(process, table), signal)) {
          const known = index.size;
          const roomPages = Math.floor((limitBytes - rounds.newBytes) / PAGE_BYTES);
          remember(read, { round, index, keeper, roomPages });
          rounds.newBytes += (index.size - known) * PAGE_BYTES;
          yield* keeper.full();
          if (isFull()) break;
        }
      } finally {
        await process.close();
      }
      if (isFull()) break;
    }
    rounds.count = round;
    if (isFull()) {
      // What this round did not come to is taken to be as it was.
      rounds.tables = new Map([...rounds.tables, ...met]);
      break;
    }
    rounds.tables = met;
    for (const table of met.values()) table.since = round;
    const last = { newBytes: rounds.newBytes - before, durationMs: performance.now() - beganAt };
    rounds.rateBpms = Math.max(rounds.rateBpms ?? 0, last.newBytes / last.durationMs);
    made.push(last);
  }
  yield* keeper.rest();
}

interface TableRequest extends ReadRequest {
  readonly block: TableBlock;
}

/** What the process has in memory now, to be compared with what is known of it. */
async function* asked(process: ProcessMemory, table: PageTable): AsyncGenerator<TableRequest> {
  for await (const pages of blocksOf(process.presentRanges())) {
    const block = table.ensure(pages.address);
    yield { ...pages, memory: process.descriptor, known: block.hashes.buffer, hashed: true, block };
  }
}

/** Enter what was read into the table, and keep the pages that are new. @param into.roomPages for so many of them */
function remember(
  { request, slot }: BlockRead<TableRequest>,
  into: { round: number; index: PageIndex; keeper: PageKeeper; roomPages: number },
): void {
  const { block } = request;
  const { index, keeper } = into;
  const mostPages = index.size + into.roomPages;
  let bytesAt = 0;
  for (let page = 0; page < BLOCK_PAGES; page++) {
    const state = slot.states[page];
    if (state === PageState.unread) continue;
    if (state === PageState.changed) {
      const bytes = slot.bytes.subarray(bytesAt, bytesAt + PAGE_BYTES);
      bytesAt += PAGE_BYTES;
      const hashAt = page * HASH_WORDS;
      if (index.size >= mostPages && index.find(slot.hashes, hashAt) === undefined) {
        block.forget(page); // It is kept nowhere: whoever reads it again must be given it.
        continue;
      }
      block.know(page, slot.hashes, keeper.keep(bytes, slot.hashes, hashAt));
    }
    block.metIn[page] = into.round;
  }
}
