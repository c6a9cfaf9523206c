import t, { type Test } from 'tap';
import { comparePages } from '../../../migrator/memory/compare-pages.ts';
import { FrozenProcesses } from '../../../migrator/memory/frozen-processes.ts';
import { knownPages } from '../../../migrator/memory/known-pages.ts';
import { AnswerPart } from '../../../migrator/memory/memory-frame.ts';
import { HASH_BYTES } from '../../../migrator/memory/page-hash.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import type { PageTable } from '../../../migrator/memory/page-table.ts';
import { ProcessMemories } from '../../../migrator/memory/process-memories.ts';
import { newPages, type Rounds } from '../../../migrator/memory/rounds.ts';
import { SeenAhead } from '../../../migrator/memory/seen-ahead.ts';
import { BufferStore } from '../../../migrator/transfer/buffers.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { startFamily } from './family.ts';
import { testReaders } from './readers.ts';

const PAGES = 600;
const signal = AbortSignal.timeout(60_000);

/** A frozen process of which one page is not as it was known, in the middle of an area that was. */
async function startChanged(t: Test) {
  const family = await startFamily(t);
  await family.fill('area', PAGES, 1);
  const index = new PageIndex();
  const rounds: Rounds = { count: 0, newBytes: 0, tables: new Map() };
  const readers = testReaders(t);
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: 4 });
  const sources = { processes: async () => family.pids, readers };
  for await (const piece of newPages(sources, index, buffers, { limitBytes: 1e9, rounds, signal })) {
    if (piece.type === 'keep') buffers.give(piece.buffer);
  }
  await family.poke('area', PAGES / 2);
  await family.freeze();
  const [[pid, table] = [0, undefined]] = rounds.tables;
  if (!table) throw new Error('nothing is known of it');
  const memories = new ProcessMemories(family.pids);
  t.teardown(() => memories.close());
  return { family, pid, tables: rounds.tables, readers, memories, ...areaOf(table, index) };
}

/** The longest stretch of known pages, and their hashes. */
function areaOf(table: PageTable, index: PageIndex): { address: number; pages: number; hashes: Buffer } {
  let longest: [address: number, place: number][] = [];
  let run: [address: number, place: number][] = [];
  for (const known of table) {
    if (run.at(-1)?.[0] !== known[0] - PAGE_BYTES) run = [];
    run.push(known);
    if (run.length > longest.length) longest = run;
  }
  const hashes = Buffer.alloc(longest.length * HASH_BYTES);
  for (const [page, [, place]] of longest.entries()) index.writeHash(place, hashes, page * HASH_BYTES);
  return { address: longest[0]?.[0] ?? 0, pages: longest.length, hashes };
}

const numbersOf = (fates: Int8Array, fate: number) =>
  [...fates.keys()].filter((page) => fates[page] === fate);

t.test('the pages that changed are found, in whatever blocks they lie', async (t) => {
  const { pid, address, pages, hashes, readers, memories } = await startChanged(t);
  t.ok(pages >= PAGES, `${pages} pages side by side`);
  const ask = { pid, address, pages, compareOnly: true, receivedBytes: 0 };
  const fates = await comparePages(ask, hashes, { memories, readers, seen: undefined, signal });
  const changed = numbersOf(fates, AnswerPart.changed);
  t.ok(changed.length >= 1 && changed.length <= 2, `${changed}: the poke may lie across two pages`);
  t.equal(numbersOf(fates, AnswerPart.kept).length, pages - changed.length);
});

t.test('what was seen ahead is not read again', async (t) => {
  const { family, pid, address, pages, hashes, tables, readers, memories } = await startChanged(t);
  const seen = new SeenAhead(tables);
  const frozen = await FrozenProcesses.open(family.pids);
  seen.follow(frozen);
  for (const [inner, { memory, seen: pages }] of frozen) {
    const table = tables.get(inner);
    if (table === undefined) continue;
    const { sample, rest } = knownPages(memory, table);
    for await (const { request, slot } of readers.read([...sample, ...rest], signal)) {
      pages.see(request.address, slot.states);
    }
  }
  await frozen.close();
  const ask = { pid, address, pages, compareOnly: true, receivedBytes: 0 };
  const fates = await comparePages(ask, hashes, { memories, readers, seen, signal });
  const [changed = 0] = numbersOf(fates, AnswerPart.changed);
  await readers.close();
  const before = { ...ask, pages: changed };
  const known = hashes.subarray(0, changed * HASH_BYTES);
  t.ok(
    (await comparePages(before, known, { memories, readers, seen, signal })).every(
      (fate) => fate === AnswerPart.kept,
    ),
    'without readers, those before the page that changed are told',
  );
  const from = { memories, readers, seen, signal };
  await t.rejects(comparePages(ask, hashes, from), { code: 'INTERRUPTED' }, 'and that one is not');
  const other = Buffer.from(known);
  other[0] = (other[0] ?? 0) + 1;
  await t.rejects(
    comparePages(before, other, from),
    { code: 'INTERRUPTED' },
    'nor one the asker has otherwise',
  );
});
