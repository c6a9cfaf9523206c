import t from 'tap';
import { MemoryKind } from '../../../bench/migrate/cell.ts';
import { groupsOf } from '../../../bench/migrate/groups.ts';
import type { Measurement } from '../../../bench/migrate/measurement.ts';
import { verdictsOn } from '../../../bench/migrate/verdicts.ts';
import { Finding, verdictLines } from '../../../bench/verdict.ts';
import { cellOf, measurement } from './made-up.ts';

const on = (...measurements: Measurement[]) => verdictsOn(groupsOf(measurements));
const about = (all: ReturnType<typeof on>, start: string) => {
  const found = all.find(({ promise }) => promise.startsWith(start));
  if (found === undefined) throw new Error(`nothing is said of ${start}`);
  return found;
};
const fast = cellOf(256, '1gbit');
const slow = cellOf(256, '100mbit');

t.test('a ratio is of medians in the same cell', async (t) => {
  const verdicts = on(
    ...[900, 1_000, 5_000].map((blackoutMs) => measurement(fast, 'runc', { blackoutMs })),
    ...[300, 350, 900].map((blackoutMs) => measurement(fast, 'pre-copy', { blackoutMs })),
    measurement(slow, 'runc', { blackoutMs: 20_000 }),
    measurement(slow, 'pre-copy', { blackoutMs: 2_500 }),
  );
  t.match(about(verdicts, 'pre-copy blackoutMs / plain, 256 MiB, 1 Gbit/s'), {
    value: 0.35,
    finding: Finding.met,
  });
  t.match(about(verdicts, 'pre-copy blackoutMs / plain, 256 MiB, 100 Mbit/s'), {
    value: 0.125,
    finding: Finding.notMet,
  });
});

t.test('what was not measured is neither met nor missed', async (t) => {
  for (const { value, finding } of on(measurement(fast, 'runc'))) {
    t.same([value, finding], [null, Finding.notMeasured]);
  }
});

t.test('random memory is held against random memory', async (t) => {
  const random = cellOf(256, '1gbit', MemoryKind.random);
  const verdicts = on(
    measurement(fast, 'runc', { bytesSent: 1_000 }),
    measurement(fast, 'pre-copy', { bytesSent: 500 }),
    measurement(random, 'runc', { bytesSent: 1_000 }),
    measurement(random, 'pre-copy', { bytesSent: 1_200 }),
  );
  t.match(about(verdicts, 'pre-copy bytesSent / plain, 256 MiB'), { value: 0.5, finding: Finding.met });
  t.match(about(verdicts, 'pre-copy bytesSent / plain, random'), { value: 1.2, finding: Finding.notMet });
});

t.test(
  'one failed request of one Holdfast move is one too many; those of the plain way are its own',
  async (t) => {
    const plain = measurement(fast, 'runc', { failed: 900 });
    t.match(about(on(plain, measurement(fast, 'pre-copy')), 'failed'), { value: 0, finding: Finding.met });
    t.match(about(on(plain, measurement(fast, 'pre-copy', { lost: 1 })), 'failed'), {
      value: 1,
      finding: Finding.notMet,
    });
  },
);

t.test('auto is held against the best strategy of each cell', async (t) => {
  const verdicts = on(
    measurement(fast, 'stop-and-copy', { blackoutMs: 400 }),
    measurement(fast, 'pre-copy', { blackoutMs: 200 }),
    measurement(fast, 'auto', { blackoutMs: 229 }),
    measurement(slow, 'stop-and-copy', { blackoutMs: 200 }),
    measurement(slow, 'pre-copy', { blackoutMs: 400 }),
    measurement(slow, 'auto', { blackoutMs: 400 }),
    measurement(cellOf(64, '1gbit'), 'auto', { blackoutMs: 1 }),
  );
  t.match(about(verdicts, 'cells where auto'), { value: 0.5, finding: Finding.notMet });
});

t.test('the error of a prediction is a share of what it came to', async (t) => {
  const predicted = (frozenMs: number) => ({ frozenMs, holdMs: 0, totalMs: 0, bytesSent: 0 });
  const verdicts = on(
    measurement(fast, 'pre-copy', { frozenMs: 200, predicted: predicted(220) }),
    measurement(fast, 'pre-copy', { frozenMs: 200, predicted: predicted(170) }),
    measurement(fast, 'auto', { frozenMs: 200, predicted: predicted(400) }),
    measurement(fast, 'runc'),
  );
  t.match(about(verdicts, 'median error'), { value: 0.15, finding: Finding.met });
});

t.test('each verdict is a line with its value and its finding', async (t) => {
  const lines = verdictLines(
    on(measurement(fast, 'runc', { blackoutMs: 1_000 }), measurement(fast, 'pre-copy')),
  );
  t.match(
    lines.find((line) => line.startsWith('pre-copy blackoutMs / plain, 256 MiB, 1 Gbit/s')),
    /≤ 0\.4 +0\.100 {2}met$/,
  );
  t.equal(new Set(lines.map((line) => line.search(/\S+$/) > 0)).size, 1);
});
