import t from 'tap';
import { Strategy } from '../../../migrator/events.ts';
import { costsOf } from '../../../migrator/planner/costs.ts';
import { predict } from '../../../migrator/planner/model.ts';
import { MIB, situation } from './situations.ts';

const foresee = (strategy: Strategy, options: Parameters<typeof situation>[0]) =>
  predict(strategy, situation(options), costsOf(strategy, 'shop', [])).prediction;

t.test('frozen is within held, held within the whole', async (t) => {
  for (const strategy of Object.values(Strategy)) {
    for (const mib of [64, 1024]) {
      for (const rttMs of [0.3, 100]) {
        const { frozenMs, holdMs, totalMs } = foresee(strategy, { mib, rttMs, dirtyMibPerS: 20 });
        t.ok(0 < frozenMs && frozenMs < holdMs && holdMs < totalMs, `${strategy} ${mib} MiB ${rttMs} ms`);
      }
    }
  }
});

t.test('all of memory goes over once, and with rounds what was written meanwhile', async (t) => {
  const once = foresee(Strategy.stopAndCopy, { mib: 256, dirtyMibPerS: 20, mbit: 100 }).bytesSent / MIB;
  t.ok(once >= 256 && once < 258, `${once}`);
  const rounds = foresee(Strategy.preCopy, { mib: 256, dirtyMibPerS: 20, mbit: 100 }).bytesSent / MIB;
  t.ok(rounds > 300 && rounds < 1000, `${rounds}`);
});

t.test('sending ahead pays where the link is slow, and not for an app that writes faster', async (t) => {
  const frozen = (strategy: Strategy, dirtyMibPerS: number) =>
    foresee(strategy, { mib: 256, mbit: 100, dirtyMibPerS }).frozenMs;
  t.ok(frozen(Strategy.preCopy, 0) < frozen(Strategy.stopAndCopy, 0) / 10);
  t.ok(frozen(Strategy.preCopy, 500) > frozen(Strategy.stopAndCopy, 500) * 0.5);
});

t.test('shared memory and files on tmpfs travel during the freeze, however memory does', async (t) => {
  for (const strategy of Object.values(Strategy)) {
    const without = foresee(strategy, { mbit: 100 }).frozenMs;
    const addedMs = foresee(strategy, { mbit: 100, eagerMib: 25 }).frozenMs - without;
    t.ok(addedMs > 1500, `${strategy}: ${addedMs}`);
  }
});

t.test('every step waits for the round trip of its order', async (t) => {
  for (const strategy of Object.values(Strategy)) {
    const near = foresee(strategy, { mib: 1 });
    const far = foresee(strategy, { mib: 1, rttMs: 100.5 });
    t.ok(far.frozenMs - near.frozenMs >= 250, strategy);
    t.ok(far.holdMs - near.holdMs >= 350, strategy);
  }
});
