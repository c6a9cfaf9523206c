import t from 'tap';
import { judgeRounds, type Round, RoundVerdict } from '../../../migrator/memory/round-policy.ts';

const MIB = 1024 * 1024;
const round = (mib: number, durationMs: number): Round => ({ newBytes: mib * MIB, durationMs });

const cases: [string, Round[], RoundVerdict][] = [
  ['the first is made in any case', [], RoundVerdict.again],
  ['and the second, which tells how fast the app writes', [round(256, 2000)], RoundVerdict.again],
  ['what has nothing to send is settled', [round(0, 10)], RoundVerdict.settled],
  ['an app that wrote nothing is settled', [round(256, 2000), round(0, 200)], RoundVerdict.settled],
  [
    'one that wrote much while much was sent is gone over again',
    [round(256, 2150), round(40, 340)],
    RoundVerdict.again,
  ],
  [
    'until too little would be gained',
    [round(256, 2150), round(40, 340), round(6, 200)],
    RoundVerdict.settled,
  ],
  [
    'an app that writes as fast as the link carries does not converge',
    [round(256, 2000), round(250, 2000)],
    RoundVerdict.notConverging,
  ],
  [
    'nor one that writes much in the time a round takes to read',
    [round(1024, 9000), round(600, 5000), round(330, 5000)],
    RoundVerdict.notConverging,
  ],
  [
    'and they end some time',
    Array.from({ length: 8 }, (_, nth) => round(800 / 1.3 ** nth, 8000 / 1.3 ** nth)),
    RoundVerdict.enough,
  ],
];
for (const [name, rounds, verdict] of cases) {
  t.test(name, async (t) => {
    t.equal(judgeRounds(rounds), verdict);
  });
}
