import t from 'tap';
import type { Run } from '../../../bench/transfer/measurement.ts';
import { linkTables } from '../../../bench/transfer/report.ts';
import { Way } from '../../../bench/transfer/way.ts';
import { parseLink } from '../../lab/link.ts';
import { measurement } from './made-up.ts';

const MIB = 1 << 20;
const fast = parseLink('1gbit');
const slow = parseLink('100mbit,20ms');
const run = (by: Partial<Run> = {}): Run => ({ measurements: [], failures: [], ...by });

t.test('each link has a table of its own, with bytes by class, medians and their spread', async (t) => {
  const bytes = { image: 300 * MIB, files: 200.6 * MIB, memory: null, all: 510 * MIB };
  const text = linkTables(
    run({
      measurements: [
        measurement(fast, Way.stopAndStart, { bytes, totalMs: 9_000 }),
        measurement(fast, Way.stopAndStart, { bytes, totalMs: 7_000 }),
        measurement(slow, Way.back, { frozenMs: 200 }),
      ],
    }),
    [slow, fast],
  );
  t.match(text, /^100mbit,20ms\n/);
  t.match(text, /\n\n1gbit\n/);
  t.match(text, /save \| load, rsync, stop and start +2 +300 +201 +– +510 +8,000 \[7,000–9,000\]/);
  t.match(text, /Holdfast, the way back +1 .* 200 +–/);
});

t.test('what could not be measured is said with its reason, where it belongs', async (t) => {
  const failures = [{ link: fast, approach: 'checkpoint', round: 2, reason: 'CRIU said no' }];
  const text = linkTables(run({ failures, measurements: [measurement(fast, Way.there)] }), [fast, slow]);
  t.match(text, /checkpoint, round 2: CRIU said no\n\n100mbit,20ms\n$/);
});
