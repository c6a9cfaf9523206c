import t from 'tap';
import { Strategy } from '../../../migrator/events.ts';
import { type Cost, costsOf, type Experience } from '../../../migrator/planner/costs.ts';
import { at } from '../../../migrator/planner/line.ts';

const moved = (strategy: Strategy, restoreMs: number, app = 'shop'): Experience => ({
  app,
  strategy,
  points: { restore: { x: 64, y: restoreMs } },
});
const takes = (cost: Cost, strategy: Strategy, past: Experience[], x = 64, app = 'shop') =>
  at(costsOf(strategy, app, past)[cost] ?? { base: Number.NaN, slope: 0 }, x);

t.test('before the first move every step of every strategy is assumed to take some time', async (t) => {
  for (const strategy of Object.values(Strategy)) {
    for (const step of ['freeze', 'dump', 'send', 'restore', 'health-check', 'commit'] as const) {
      t.ok(takes(step, strategy, []) > 0, `${strategy} ${step}`);
    }
  }
});

t.test('one move tells more than any assumption', async (t) => {
  t.equal(takes('restore', Strategy.preCopy, [moved(Strategy.preCopy, 80)]), 80);
});

t.test('half of the moves may have gone wrong', async (t) => {
  const past = [80, 82, 900, 81, 2000].map((ms) => moved(Strategy.preCopy, ms));
  t.equal(Math.round(takes('restore', Strategy.preCopy, past)), 82);
});

t.test(
  'a strategy never tried here is assumed as much slower or faster as the tried ones were',
  async (t) => {
    const usual = takes('restore', Strategy.stopAndCopy, []);
    const twice = takes('restore', Strategy.preCopy, []) * 2;
    const borrowed = takes('restore', Strategy.stopAndCopy, [moved(Strategy.preCopy, twice)]);
    t.ok(Math.abs(borrowed - usual * 2) < 1e-6, `${borrowed}`);
    const tenfold = takes('restore', Strategy.stopAndCopy, [moved(Strategy.preCopy, twice * 10)]);
    t.ok(tenfold <= usual * 4 + 1e-6, 'within bounds');
  },
);

t.test("an app's own moves count before those of others", async (t) => {
  const past = [moved(Strategy.preCopy, 500, 'blog'), moved(Strategy.preCopy, 80)];
  t.equal(takes('restore', Strategy.preCopy, past), 80);
  t.equal(takes('restore', Strategy.preCopy, past, 64, 'blog'), 500);
  t.equal(takes('restore', Strategy.preCopy, past, 64, 'third'), 290);
});
