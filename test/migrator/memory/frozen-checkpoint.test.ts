import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { PageFlag, parsePagemap, writePagemap } from '../../../migrator/criu/pagemap.ts';
import type { Range } from '../../../migrator/memory/block.ts';
import { frozenCheckpoint } from '../../../migrator/memory/frozen-checkpoint.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import type { PageReaders } from '../../../migrator/memory/page-readers.ts';
import { parentPieces } from '../../../migrator/memory/parent.ts';
import { ProcessMemory } from '../../../migrator/memory/process-memory.ts';
import { newPages, type Rounds } from '../../../migrator/memory/rounds.ts';
import { SeenAhead } from '../../../migrator/memory/seen-ahead.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { type Loopback, loopback } from '../transfer/loopback.ts';
import { put, readCheckpoint } from './checkpoint.ts';
import { type Family, startFamily } from './family.ts';
import { testReaders } from './readers.ts';

const { parent, present, lazy } = PageFlag;
/** Of each process, so many pages are in the images, as CRIU has it with stacks. */
const IN_IMAGE = 5;
const soon = () => AbortSignal.timeout(60_000);

interface Sent {
  readonly index: PageIndex;
  readonly rounds: Rounds;
}

const nothing = (): Sent => ({
  index: new PageIndex(),
  rounds: { count: 0, newBytes: 0, tables: new Map() },
});

/** Send ahead what the processes have, `between` being called before each round but the first. */
async function sendAhead(
  ends: Loopback,
  readers: PageReaders,
  family: Family,
  between: (round: number) => Promise<void> = async () => {},
): Promise<Sent> {
  const sent = nothing();
  let round = 0;
  const processes = async () => {
    if (round++ > 0) await between(round);
    return family.pids;
  };
  await put(ends, async function* (buffers, signal) {
    const { index, rounds } = sent;
    yield* newPages({ processes, readers }, index, buffers, { limitBytes: 1e9, rounds, signal });
    yield* parentPieces(rounds.tables, index);
  });
  await ends.kept.beginCheckpoint(1e9);
  return sent;
}

/** What CRIU writes of frozen processes when it leaves their memory in place. */
async function dumpLeavingMemory(dir: string, family: Family): Promise<void> {
  for (const pid of family.pids) {
    const memory = await ProcessMemory.open(pid);
    if (memory === undefined) throw new Error('it has ended');
    const ranges: Range[] = [];
    for await (const range of memory.presentRanges()) ranges.push(range);
    await memory.close();
    const [first = { start: 0, end: 0 }, ...rest] = ranges;
    const cut = Math.min(first.start + IN_IMAGE * PAGE_BYTES, first.end);
    const runs = [
      { ...first, end: cut, flags: present },
      { ...first, start: cut, flags: lazy },
      ...rest.map((range) => ({ ...range, flags: lazy })),
    ].map(({ start, end, flags }) => ({ address: start, pages: (end - start) / PAGE_BYTES, flags }));
    const pagemap = writePagemap({ pagesId: pid, runs: runs.filter(({ pages }) => pages > 0) });
    await writeFile(path.join(dir, `pagemap-${pid}.img`), pagemap);
    await writeFile(path.join(dir, `pages-${pid}.img`), await read(pid, first.start, cut - first.start));
  }
  await writeFile(path.join(dir, 'inventory.img'), 'not of pages');
}

async function read(pid: number, address: number, sizeBytes: number): Promise<Buffer> {
  const memory = await open(`/proc/${pid}/mem`);
  try {
    const bytes = Buffer.alloc(sizeBytes);
    await memory.read(bytes, 0, sizeBytes, address);
    return bytes;
  } finally {
    await memory.close();
  }
}

/** Freeze, dump and send. @param meanwhile is done while the dump is under way */
async function sendFrozen(
  ends: Loopback,
  readers: PageReaders,
  family: Family,
  { index, rounds }: Sent,
  meanwhile: () => Promise<void> = async () => {},
  rateBpms?: number,
): Promise<void> {
  const dir = ends.inDir;
  const written = (async () => {
    await meanwhile();
    await family.freeze();
    await dumpLeavingMemory(dir, family);
  })();
  written.catch(() => {}); // It is told by whoever sends.
  const processes = async () => family.pids;
  const { tables } = rounds;
  const following = rateBpms === undefined ? undefined : { rateBpms, seen: new SeenAhead(tables) };
  await put(ends, (buffers, signal) =>
    frozenCheckpoint({ dir, written, processes, readers, index, tables, buffers, following, signal }),
  );
}

/** At the other end each process has, at every address of the dump, what it has here. */
async function hasArrived(t: Test, ends: Loopback, family: Family): Promise<void> {
  for (const pid of family.pids) {
    const there = await readCheckpoint(ends.outDir, String(pid));
    t.ok(there.size > IN_IMAGE, `${there.size} pages of ${pid}`);
    let wrong = 0;
    for (const [address, page] of there) {
      if (!page.equals(await read(pid, address, PAGE_BYTES))) wrong++;
    }
    t.equal(wrong, 0, 'each as it is here');
  }
}

async function pagesWritten(ends: Loopback, pid: number) {
  const pagemap = await open(path.join(ends.outDir, `pagemap-${pid}.img`));
  const { runs } = parsePagemap(await pagemap.readFile());
  await pagemap.close();
  const sum = (...kinds: number[]) =>
    runs.reduce((all, run) => all + (kinds.includes(run.flags) ? run.pages : 0), 0);
  return {
    parents: sum(parent, parent | lazy),
    own: sum(present),
    /** Those that follow, from the parent or from here. */
    later: { store: sum(parent | lazy), source: sum(lazy) },
  };
}

t.test('of several processes, only what has changed since is sent and written', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 2000, 1);
  await family.fork(300, 2);
  await family.fork(300, 3);
  const sent = await sendAhead(ends, readers, family);
  t.equal(sent.rounds.tables.size, 3);
  for (const page of [0, 700, 1999]) await family.poke('heap', page);
  await sendFrozen(ends, readers, family, sent);
  await hasArrived(t, ends, family);
  const { parents, own } = await pagesWritten(ends, family.pids[0] ?? 0);
  t.ok(parents > 1950, `${parents} pages are the parent's`);
  t.ok(own < 200, `${own} pages are not`);
});

t.test('of memory that may follow, what holds does, and what has changed goes first', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 5000, 1);
  await family.fork(4000, 2);
  const sent = await sendAhead(ends, readers, family);
  for (const page of [0, 700, 4999]) await family.poke('heap', page);
  await sendFrozen(ends, readers, family, sent, undefined, 125_000);
  await hasArrived(t, ends, family);
  for (const pid of family.pids) {
    const { parents, own, later } = await pagesWritten(ends, pid);
    t.equal(later.source, 0, 'nothing is left here');
    t.ok(later.store > 3500, `${later.store} pages follow`);
    t.ok(parents > later.store, 'small areas do not');
    t.ok(own < 200, `${own} pages have changed`);
  }
});

t.test('where it would take too long to find out, memory stays, but for what is known to hold', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 12_000, 1);
  const sent = await sendAhead(ends, readers, family);
  for (let page = 0; page < 12_000; page += 2) await family.poke('heap', page);
  await sendFrozen(ends, readers, family, sent, undefined, 1);
  const { own, later } = await pagesWritten(ends, family.pids[0] ?? 0);
  t.equal(later.store, 0);
  t.ok(later.source >= 12_000, `${later.source} pages follow from here`);
  t.ok(own <= IN_IMAGE, 'nothing is sent but what CRIU has written');
});

t.test('with nothing sent ahead, and no page taken for another, all of it is sent as it is', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 1000, 1);
  for (const seed of [2, 3, 4]) await family.fork(10, seed);
  const sent = { ...nothing(), index: new PageIndex({ byContent: false }) };
  await ends.kept.beginCheckpoint(1e9);
  await sendFrozen(ends, readers, family, sent);
  await hasArrived(t, ends, family);
  t.equal(sent.index.size, 4 * IN_IMAGE, 'none but CRIU’s own pages is kept until the end');
});

t.test('a content that several processes have goes over but once', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 3000, 1);
  for (const seed of [2, 3, 4]) await family.fork(10, seed);
  const sent = nothing();
  await ends.kept.beginCheckpoint(1e9);
  await sendFrozen(ends, readers, family, sent);
  await hasArrived(t, ends, family);
  t.ok(
    sent.index.size < 2 * 3000,
    `${sent.index.size} pages went over, though four processes have 3000 each`,
  );
});

t.test('whatever a process maps, unmaps and forks between the rounds, it arrives as it is', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('stays', 1500, 1);
  await family.fill('goes', 1000, 2);
  await family.fill('moves', 700, 3);
  const early = await family.fork(400, 4);
  const sent = await sendAhead(ends, readers, family, async (round) => {
    if (round === 2) {
      await family.drop('goes');
      await family.fork(500, 5); // It is there from the second round on.
      await family.end(early); // And that one no longer.
    }
    await family.drop('moves');
    await family.fill('moves', 700 + round, 3); // Perhaps in its old place, perhaps not.
    await family.fill(`new ${round}`, 1200, 10 + round);
  });
  t.ok(sent.rounds.count > 1);
  // After the last round as well.
  await family.drop('stays');
  await family.fill('other', 1500, 20);
  await family.fork(100, 21);
  await sendFrozen(ends, readers, family, sent);
  await hasArrived(t, ends, family);
});

t.test(
  'what somebody else has in the memory while the dump is under way is not taken for the app’s',
  async (t) => {
    const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
    await family.fill('heap', 1000, 1);
    const sent = await sendAhead(ends, readers, family);
    const aheadPages = sent.index.size;
    await family.poke('heap', 500);
    await family.freeze();
    const [pid = 0] = family.pids;
    const addresses = [...(sent.rounds.tables.get(pid) ?? [])].map(([address]) => address).slice(-900, -600);
    const parasite = await open(`/proc/${pid}/mem`, 'r+');
    t.teardown(() => parasite.close());
    const own = new Map<number, Buffer>();
    for (const address of addresses) {
      own.set(address, await read(pid, address, 16));
      await parasite.write(`${address}`, address);
    }
    await sendFrozen(ends, readers, family, sent, async () => {
      while (sent.index.size < aheadPages + addresses.length) await new Promise(setImmediate);
      for (const [address, bytes] of own) await parasite.write(bytes, 0, bytes.length, address);
    });
    await hasArrived(t, ends, family);
  },
);

t.test('a checkpoint that comes again is as whole as the first would have been', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 500, 1);
  const sent = await sendAhead(ends, readers, family);
  await family.fill('heap', 500, 2);
  await family.freeze();
  const aheadPages = sent.index.size;
  const signal = soon();
  const nobody = { take: () => Buffer.alloc(512 * 1024), give: () => {} };
  const first = frozenCheckpoint({
    dir: ends.inDir,
    written: dumpLeavingMemory(ends.inDir, family),
    processes: async () => family.pids,
    readers,
    ...sent,
    tables: sent.rounds.tables,
    buffers: nobody as never,
    signal,
  });
  for await (const _ of first) if (sent.index.size > aheadPages) break; // Some went nowhere.
  sent.index.forgetFrom(aheadPages);
  await sendFrozen(ends, readers, family, sent);
  await hasArrived(t, ends, family);
});

t.test('memory that cannot be read any more is told, not made up', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 500, 1);
  const sent = nothing();
  await ends.kept.beginCheckpoint(1e9);
  await t.rejects(
    sendFrozen(ends, readers, { ...family, freeze: async () => {} }, sent, async () => {
      await mkdir(path.join(ends.inDir, 'sub'));
      const runs = [{ address: PAGE_BYTES, pages: 1, flags: lazy }];
      const pagemap = writePagemap({ pagesId: 9, runs });
      await writeFile(path.join(ends.inDir, `pagemap-${family.pids[0]}0.img`), pagemap);
    }),
    { code: 'MEMORY_UNREADABLE', message: /is in the checkpoint and not in the container/ },
  );
  await Promise.all(ends.outcomes); // Who takes it in may still be writing into the directory, which is removed next.
});

t.test('a page that was left in place and is not there is told', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await ends.kept.beginCheckpoint(1e9);
  const [pid = 0] = family.pids;
  const runs = [{ address: 0x10000, pages: 1, flags: lazy }];
  await writeFile(path.join(ends.inDir, `pagemap-${pid}.img`), writePagemap({ pagesId: 1, runs }));
  const { index, rounds } = nothing();
  const sending = put(ends, (buffers, signal) =>
    frozenCheckpoint({
      dir: ends.inDir,
      written: Promise.resolve(),
      processes: async () => family.pids,
      readers,
      index,
      tables: rounds.tables,
      buffers,
      signal,
    }),
  );
  await t.rejects(sending, { code: 'MEMORY_UNREADABLE', message: /no page at 0x10000/ });
});

t.test('a dump that fails is what is told', async (t) => {
  const [ends, family, readers] = [await loopback(t), await startFamily(t), testReaders(t)];
  await family.fill('heap', 100, 1);
  const failing = sendFrozen(ends, readers, family, nothing(), async () => {
    throw new Error('the dump failed');
  });
  await t.rejects(failing, { message: 'the dump failed' });
});
