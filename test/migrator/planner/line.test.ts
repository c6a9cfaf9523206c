import t from 'tap';
import { at, fit, median } from '../../../migrator/planner/line.ts';

const assumed = { base: 50, slope: 2 };

t.test('without anything seen it is as assumed', async (t) => {
  t.same(fit([], assumed), assumed);
});

t.test('what was seen at one place stretches what was assumed', async (t) => {
  const line = fit([{ x: 100, y: 125 }], assumed);
  t.same(line, { base: 25, slope: 1 });
  t.equal(at(line, 100), 125);
});

t.test('what was seen at several places makes a line of its own', async (t) => {
  const points = [64, 128, 256, 512].map((x) => ({ x, y: 30 + x * 0.5 }));
  const { base, slope } = fit(points, assumed);
  t.ok(Math.abs(base - 30) < 1e-9 && Math.abs(slope - 0.5) < 1e-9, `${base} + ${slope}x`);
});

t.test('a few that went quite wrong change little', async (t) => {
  const points = [64, 128, 192, 256, 320, 384, 448].map((x) => ({ x, y: 30 + x * 0.5 }));
  const line = fit([...points, { x: 100, y: 9000 }, { x: 300, y: 5000 }], assumed);
  t.ok(Math.abs(at(line, 256) - 158) < 30, `${at(line, 256)}`);
  const flat = fit(
    [100, 101, 99, 100, 4000].map((y) => ({ x: 0, y })),
    { base: 50, slope: 0 },
  );
  t.equal(at(flat, 0), 100);
});

t.test('nothing takes less than no time', async (t) => {
  t.equal(at({ base: -5, slope: 0 }, 3), 0);
  t.equal(median([]), 0);
});
