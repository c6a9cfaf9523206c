import t from 'tap';
import { Tally } from '../../migrator/tally.ts';

const fetched = { pageInMs: 5, fromStoreBytes: 4096, fromSourceBytes: 8192, waits: 2, bytesSent: 100 };

t.test('the app was frozen from its freeze to its last thaw', async (t) => {
  const tally = new Tally();
  tally.thawed(1);
  t.equal(tally.figures.frozenMs, undefined, 'what was not frozen here is not told of');
  tally.frozen(1_000);
  tally.thawed(1_200);
  t.equal(tally.figures.frozenMs, 200);
  tally.thawed(1_700);
  t.equal(tally.figures.frozenMs, 700, 'it went back after all');
});

t.test('what was fetched on demand counts with what was sent', async (t) => {
  const tally = new Tally();
  t.notOk(tally.allFetched);
  tally.add({ bytesSent: 1_000 });
  tally.fetched(fetched);
  t.ok(tally.allFetched);
  t.match(tally.figures, { bytesSent: 1_100, pageInMs: 5, pageWaits: 2, fromStoreBytes: 4096 });
});

t.test('a part of what was sent is not told as the whole', async (t) => {
  const tally = new Tally();
  tally.fetched(fetched);
  t.equal(tally.figures.bytesSent, undefined);
});

t.test('the whole lasts to the commit, and where there was none to the end', async (t) => {
  const tally = new Tally();
  const first = tally.figures.totalMs;
  t.ok(tally.figures.totalMs >= first);
  tally.committed();
  const { totalMs } = tally.figures;
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(tally.figures.totalMs, totalMs);
});
