import t from 'tap';
import { AUTO, Strategy, type StrategyOrder } from '../../../migrator/events.ts';
import { choose } from '../../../migrator/planner/choice.ts';
import type { Prediction } from '../../../migrator/planner/prediction.ts';

const predicted = (strategy: Strategy, holdMs: number): Prediction => ({
  strategy,
  frozenMs: holdMs - 50,
  holdMs,
  totalMs: holdMs + 1000,
  bytesSent: 1,
  rounds: 0,
  bothHostsMs: 0,
  remark: '',
});
const between = (stopAndCopyMs: number, preCopyMs: number) => [
  predicted(Strategy.stopAndCopy, stopAndCopyMs),
  predicted(Strategy.preCopy, preCopyMs),
];

const cases: [string, Prediction[], Strategy, RegExp][] = [
  [
    'the shortest hold is taken',
    between(900, 300),
    Strategy.preCopy,
    /300 ms, 600 ms less than by stop-and-copy/,
  ],
  [
    'of two that hold about as long, the one that asks less',
    between(320, 300),
    Strategy.stopAndCopy,
    /pre-copy would hold them for 300 ms, not noticeably less/,
  ],
  ['a tenth of a long hold is not noticed', between(1090, 1000), Strategy.stopAndCopy, /not noticeably/],
  ['more than a tenth is', between(1110, 1000), Strategy.preCopy, /110 ms less/],
];
for (const [name, predictions, strategy, reason] of cases) {
  t.test(name, async (t) => {
    t.match(choose(predictions, AUTO), { strategy, reason });
  });
}

t.test('an order is an order', async (t) => {
  t.match(choose(between(900, 300), Strategy.stopAndCopy), { strategy: 'stop-and-copy', reason: /ordered/ });
});

t.test('what freezes for too long is not taken', async (t) => {
  // About as long a hold, and the preferred one; but its freeze is over the limit.
  t.match(choose(between(315, 300), AUTO, 255), { strategy: 'pre-copy' });
});

t.test('when nothing keeps within the limit, the refusal tells the best there is and the mend', async (t) => {
  const refusals: [StrategyOrder, number, RegExp, RegExp][] = [
    [AUTO, 200, /every strategy .* longer than 200 ms; by pre-copy it would be 250 ms/, /^allow 250 ms/],
    [Strategy.stopAndCopy, 300, /^stop-and-copy would .* 300 ms; by pre-copy/, /^order pre-copy, or leave/],
    [Strategy.stopAndCopy, 100, /^stop-and-copy would/, /^allow 250 ms/],
  ];
  for (const [ordered, maxFreezeMs, message, mend] of refusals) {
    t.throws(() => choose(between(900, 300), ordered, maxFreezeMs), {
      code: 'FREEZE_TOO_LONG',
      message,
      mend,
    });
  }
});

t.test(
  'a strategy that needs both hosts after the commit is taken only when it holds noticeably less',
  async (t) => {
    const holds = (preCopyMs: number, hybridMs: number, postCopyMs: number) => [
      predicted(Strategy.stopAndCopy, 5000),
      predicted(Strategy.preCopy, preCopyMs),
      predicted(Strategy.hybrid, hybridMs),
      predicted(Strategy.postCopy, postCopyMs),
    ];
    t.match(choose(holds(260, 250, 240), AUTO), { strategy: 'pre-copy', reason: /not noticeably less/ });
    t.match(choose(holds(600, 250, 240), AUTO), { strategy: 'hybrid', reason: /post-copy would hold/ });
    t.match(choose(holds(600, 450, 240), AUTO), { strategy: 'post-copy', reason: /less than by hybrid/ });
  },
);
