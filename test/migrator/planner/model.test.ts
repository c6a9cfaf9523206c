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

t.test('where memory stays in place the freeze does not grow with it', async (t) => {
  for (const strategy of [Strategy.hybrid, Strategy.postCopy]) {
    const [small, large] = [64, 2048].map((mib) => foresee(strategy, { mib, dirtyMibPerS: 20, mbit: 100 }));
    t.ok((large?.frozenMs ?? 0) < (small?.frozenMs ?? 0) * 2, `${strategy}: ${large?.frozenMs}`);
    t.match(large?.remark, /needs both hosts for \d/);
  }
  const { frozenMs } = foresee(Strategy.stopAndCopy, { mib: 2048, mbit: 100 });
  t.ok(frozenMs > 100_000);
});

t.test(
  'what is verified is fetched while the app stands still, and needs both hosts no longer',
  async (t) => {
    for (const strategy of [Strategy.hybrid, Strategy.postCopy]) {
      const at100 = { mib: 256, mbit: 100, dirtyMibPerS: 2 };
      const atOnce = foresee(strategy, at100);
      const verified = foresee(strategy, { ...at100, verify: true });
      t.ok(verified.frozenMs > atOnce.frozenMs, strategy);
      t.equal(verified.bothHostsMs, 0);
      t.match(verified.remark, /frozen for \d+ \w+ more/);
    }
    const plain = foresee(Strategy.preCopy, { mib: 256 });
    t.same(foresee(Strategy.preCopy, { mib: 256, verify: true }), plain, 'no other strategy waits for it');
  },
);

t.test('both hosts are needed for as long as what is left takes', async (t) => {
  const whole = foresee(Strategy.postCopy, { mib: 256, mbit: 100, dirtyMibPerS: 2 }).bothHostsMs;
  t.ok(whole > 20_000 && whole < 25_000, `all of memory: ${whole}`);
  const rest = foresee(Strategy.hybrid, { mib: 256, mbit: 100, dirtyMibPerS: 2 }).bothHostsMs;
  t.equal(rest, 0, 'what little was written since the last round is there by then');
  const more = foresee(Strategy.hybrid, { mib: 256, mbit: 100, dirtyMibPerS: 40 }).bothHostsMs;
  t.ok(more > 1_000 && more < whole, `what was written since the last round: ${more}`);
  t.equal(foresee(Strategy.preCopy, { mib: 256 }).bothHostsMs, 0);
});

t.test(
  'memory that is not there yet is waited for before the app answers, the longer the further it is',
  async (t) => {
    const holdMs = (strategy: Strategy, rttMs: number) => foresee(strategy, { mib: 256, rttMs }).holdMs;
    const added = (strategy: Strategy) => holdMs(strategy, 100) - holdMs(strategy, 0.5);
    t.ok(added(Strategy.postCopy) > added(Strategy.hybrid) + 1_000);
  },
);

t.test('hybrid waits for pages only where what has changed is not soon over', async (t) => {
  const waitedMs = (options: Parameters<typeof situation>[0]) => {
    const { holdMs, frozenMs } = foresee(Strategy.hybrid, options);
    return holdMs - frozenMs;
  };
  t.ok(waitedMs({ mib: 256, dirtyMibPerS: 20 }) < 100, 'from the store');
  t.ok(waitedMs({ mib: 256, dirtyMibPerS: 500 }) > 400, 'an app that writes much');
  t.ok(waitedMs({ mib: 2048, dirtyMibPerS: 20 }) > 400, 'an app with much memory');
  t.ok(waitedMs({ mib: 256, dirtyMibPerS: 200, mbit: 100 }) > 400, 'a slow link');
});
