import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { anySignal } from '../../migrator/any-signal.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

t.test('a deadline comes although nobody else keeps it', async (t) => {
  const never = new AbortController().signal;
  const fired = Array.from(
    { length: 50 },
    () =>
      new Promise<void>((resolve) => {
        const nested = anySignal([anySignal([never, AbortSignal.timeout(300)]), never]);
        nested.addEventListener('abort', () => resolve());
      }),
  );
  await sleep(20); // What was made in this turn of the loop is not collected.
  collectGarbage();
  const enough = new AbortController();
  const patience = sleep(20_000, 'some never came', { signal: enough.signal });
  t.equal(await Promise.race([Promise.all(fired).then(() => 'all came'), patience]), 'all came');
  enough.abort();
  await patience.catch(() => {});
});

t.test('the first that fires counts, with its reason', (t) => {
  const first = new AbortController();
  const signal = anySignal([new AbortController().signal, first.signal]);
  first.abort(new Error('because'));
  t.match(signal, { aborted: true, reason: { message: 'because' } });
  t.equal(anySignal([first.signal]).aborted, true, 'one that fired before');
  t.end();
});
