import t, { type Test } from 'tap';
import { hashOf } from '../../../migrator/memory/page-hash.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import { newPages, type Rounds } from '../../../migrator/memory/rounds.ts';
import { BufferStore } from '../../../migrator/transfer/buffers.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { startApp, textOf } from './app.ts';
import { testReaders } from './readers.ts';

async function run(
  t: Test,
  processes: () => Promise<readonly number[]>,
  limitBytes = 1e9,
  signal = AbortSignal.timeout(20_000),
) {
  const index = new PageIndex();
  const rounds: Rounds = { count: 0, newBytes: 0, tables: new Map() };
  const readers = testReaders(t);
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: 4 });
  const pieces: Buffer[] = [];
  for await (const piece of newPages({ processes, readers }, index, buffers, {
    limitBytes,
    rounds,
    signal,
  })) {
    if (piece.type !== 'keep') throw new Error(piece.type);
    pieces.push(Buffer.from(piece.raw));
    buffers.give(piece.buffer);
  }
  return { index, rounds, pieces, pages: Buffer.concat(pieces) };
}

t.test(
  'every page comes once, in whole chunks but for the last, at the place the index has for it',
  async (t) => {
    const app = await startApp(t, 1000);
    const { index, rounds, pieces, pages } = await run(t, async () => [app.pid]);
    t.ok(pieces.slice(0, -1).every(({ length }) => length === CHUNK_BYTES));
    t.equal(pages.length, rounds.newBytes);
    t.equal(pages.length, index.size * PAGE_BYTES);
    for (let place = 0; place < index.size; place++) {
      const found = index.find(hashOf(pages.subarray(place * PAGE_BYTES, (place + 1) * PAGE_BYTES)));
      if (found !== place) t.equal(found, place);
    }
    t.ok(pages.includes(textOf(999).repeat(100)));
  },
);

t.test('it is known at which address each page was met last, in the order of the addresses', async (t) => {
  const app = await startApp(t, 1000);
  const { rounds, index, pages } = await run(t, async () => [app.pid]);
  const layout = new Map(rounds.tables.get(app.pid));
  const addresses = [...layout.keys()];
  t.ok(addresses.every((address, n) => n === 0 || address > (addresses[n - 1] ?? 0)));
  t.ok([...layout.values()].every((place) => place < index.size));
  // Neighbours in the app's buffer are neighbours in its memory.
  const addressOf = (page: number) => {
    const place = pages.indexOf(textOf(page).repeat(100)) >> 12;
    return addresses.find((address) => layout.get(address) === place) ?? 0;
  };
  t.equal(addressOf(700) - addressOf(300), 400 * PAGE_BYTES);
});

t.test('what is written between two rounds comes in the next', async (t) => {
  const app = await startApp(t, 4000);
  let asked = 0;
  const { rounds, pages } = await run(t, async () => {
    if (asked++ === 1) await app.refill();
    return [app.pid];
  });
  t.ok(rounds.count >= 2);
  t.ok(pages.includes(textOf(3999, 0).repeat(100)));
  t.ok(pages.includes(textOf(3999, 1).repeat(100)));
});

t.test('no more comes than the other end keeps, to the page', async (t) => {
  const app = await startApp(t, 1000);
  const limitBytes = 100.5 * PAGE_BYTES;
  const { rounds, index } = await run(t, async () => [app.pid], limitBytes);
  t.equal(rounds.newBytes, 100 * PAGE_BYTES);
  const places = [...new Map(rounds.tables.get(app.pid)).values()];
  t.ok(places.length >= 100 && places.every((place) => place < index.size), 'where those are is known');
  t.equal((await run(t, async () => [app.pid], 0)).rounds.newBytes, 0);
});

t.test('an app without processes has nothing to send ahead', async (t) => {
  t.match(await run(t, async () => []), { pieces: [], rounds: { count: 1, newBytes: 0, tables: new Map() } });
});

t.test('it ends with its signal', async (t) => {
  const app = await startApp(t, 10);
  const signal = AbortSignal.abort(new Error('called off'));
  await t.rejects(
    run(t, async () => [app.pid], 1e9, signal),
    { message: 'called off' },
  );
});
