import t from 'tap';
import { surveyMemory, writingOf } from '../../../migrator/memory/survey.ts';
import { startLocalApp } from '../../workload/local-app.ts';

const MIB = 1024 * 1024;

/** What two spans of `spanMs` see of an app that writes `rate` pages a millisecond at random, of `hot` pages. */
function seen(rate: number, hot: number, spanMs: number, pages: number) {
  const changed = (ms: number) => hot * (1 - Math.exp((-rate * ms) / hot));
  const span = { pages: changed(spanMs), spanMs };
  return { early: span, late: span, whole: changed(2 * spanMs), pages };
}

t.test('rate and hot set are found again from what two spans saw', async (t) => {
  for (const [rate, hot] of [
    [5, 16_000],
    [50, 16_000],
    [5, 1_000],
  ] as const) {
    const { pagesPerMs, hotPages } = writingOf(seen(rate, hot, 200, 16_000));
    t.ok(Math.abs(pagesPerMs / rate - 1) < 0.15, `${pagesPerMs} for ${rate} pages a millisecond`);
    t.ok(Math.abs(hotPages / hot - 1) < 0.15, `${hotPages} for ${hot} hot pages`);
  }
});

t.test('nothing written is no rate, and nothing met twice makes everything hot', async (t) => {
  const none = { pages: 0, spanMs: 200 };
  t.same(writingOf({ early: none, late: none, whole: 0, pages: 100 }), { pagesPerMs: 0, hotPages: 0 });
  const some = { pages: 10, spanMs: 200 };
  t.equal(writingOf({ early: some, late: some, whole: 20, pages: 100 }).hotPages, 100);
});

async function survey(env: Record<string, string>) {
  await using app = await startLocalApp(env);
  const pid = app.process.pid ?? 0;
  const { survey } = await surveyMemory(
    async () => [pid],
    async () => {},
    AbortSignal.timeout(30_000),
  );
  return survey;
}

t.test('an app’s memory and its writes are told as they are', { timeout: 60_000 }, async (t) => {
  const quiet = await survey({ MEMORY_MIB: '96', MEMORY_KIND: 'random' });
  t.equal(quiet.processes, 1);
  t.ok(quiet.privateBytes > 96 * MIB && quiet.privateBytes < 256 * MIB, `${quiet.privateBytes} bytes`);
  t.ok(quiet.encodedShare > 0.65, `random bytes do not shrink: ${quiet.encodedShare}`);
  t.ok(quiet.readRateBpms > 0 && quiet.encodeRateBpms > 0);
  const busy = await survey({ MEMORY_MIB: '96', DIRTY_MIB_PER_S: '40' });
  t.ok(busy.encodedShare < 0.6, `sessions do: ${busy.encodedShare}`);
  const addedMib = ((busy.dirtyRateBpms - quiet.dirtyRateBpms) * 1000) / MIB;
  t.ok(addedMib > 8 && addedMib < 160, `${addedMib} MiB/s were written, 40 of them records`);
  t.ok(busy.hotBytes > 20 * MIB, `all over the memory: ${busy.hotBytes}`);
});

t.test('a process that has ended has nothing', async (t) => {
  const { survey } = await surveyMemory(
    async () => [2 ** 22 - 1],
    async () => {},
    AbortSignal.timeout(30_000),
  );
  t.match(survey, { privateBytes: 0, dirtyRateBpms: 0, hotBytes: 0 });
});
