import t from 'tap';
import { RoundVerdict } from '../../../migrator/memory/round-policy.ts';
import { dirtiedBytes, playRounds, Wire } from '../../../migrator/planner/work.ts';
import { Patience } from '../../../migrator/transfer/encoding-choice.ts';
import { MIB, situation } from './situations.ts';

const play = (options: Parameters<typeof situation>[0]) => {
  const { link, memory } = situation(options);
  return playRounds(memory, new Wire(link, memory));
};

t.test('what is written again and again counts once: dirt grows to the hot set and no further', async (t) => {
  const { memory } = situation({ mib: 64, dirtyMibPerS: 20 });
  const after = (ms: number) => dirtiedBytes(memory, ms) / MIB;
  t.ok(Math.abs(after(100) - 2) < 0.05, 'at first at the rate of the writes');
  t.ok(after(3_200) > 35 && after(3_200) < 45, 'then more slowly');
  t.ok(after(1e6) <= 64);
  t.equal(dirtiedBytes(situation({ mib: 0 }).memory, 100), 0);
});

t.test('the wire carries memory at the rate of the link, or faster when it is worth encoding', async (t) => {
  const { link, memory } = situation({ mbit: 100 });
  t.ok(Math.abs(new Wire(link, memory).ms(12.5e6) - 1000) < 10, 'a second for what the link carries in one');
  const packed = new Wire(link, { ...memory, encodedShare: 0.4 });
  t.ok(Math.abs(packed.bytes(10 * MIB) - 4 * MIB) < 1);
  t.ok(packed.ms(12.5e6) < 450);
  const slow = new Wire(link, { ...memory, encodedShare: 0.4, encodeRateBpms: 5_000 });
  t.equal(slow.bytes(MIB), MIB, 'a codec slower than the link would hold it up');
  const nearly = { ...memory, encodedShare: 0.4, encodeRateBpms: link.rateBpms };
  t.equal(new Wire(link, nearly).bytes(MIB), MIB);
  t.equal(
    new Wire(link, nearly, Patience.ahead).bytes(MIB),
    0.4 * MIB,
    'ahead of the freeze bytes count for more',
  );
});

t.test('a distant link takes some round trips to come to speed', async (t) => {
  const near = situation({ mbit: 100 });
  const far = situation({ mbit: 100, rttMs: 100 });
  const addedMs = new Wire(far.link, far.memory).ms(4 * MIB) - new Wire(near.link, near.memory).ms(4 * MIB);
  t.ok(addedMs > 400 && addedMs < 1000, `${addedMs}`);
  t.equal(new Wire(far.link, far.memory).ms(1000), 1000 / far.link.rateBpms, 'a few packets go at once');
});

t.test('an app that writes nothing is sent ahead once, and looked at once more', async (t) => {
  const { rounds, verdict, leftBytes } = play({ dirtyMibPerS: 0 });
  t.equal(rounds.length, 2);
  t.equal(verdict, RoundVerdict.settled);
  t.equal(leftBytes, 0);
});

t.test('rounds shrink what is left while the link is faster than the writes, and only then', async (t) => {
  const fast = play({ dirtyMibPerS: 20 });
  t.equal(fast.verdict, RoundVerdict.settled);
  t.ok(fast.leftBytes < 8 * MIB, `${fast.leftBytes}`);
  const hopeless = play({ dirtyMibPerS: 200, mbit: 100 });
  t.equal(hopeless.verdict, RoundVerdict.notConverging);
  t.ok(hopeless.rounds.length <= 3, 'no rounds are spent on it');
  t.ok(hopeless.leftBytes > 100 * MIB);
});
