import t from 'tap';
import type { Measurement } from '../../../bench/transfer/measurement.ts';
import { verdictsOn } from '../../../bench/transfer/verdicts.ts';
import { Way } from '../../../bench/transfer/way.ts';
import { Finding } from '../../../bench/verdict.ts';
import { parseLink } from '../../lab/link.ts';
import { bytes, measurement } from './made-up.ts';

const fast = parseLink('1gbit');
const slow = parseLink('100mbit');
const on = (...measurements: Measurement[]) => verdictsOn(measurements, [slow, fast]);
const about = (all: ReturnType<typeof on>, start: string) => {
  const found = all.find(({ promise }) => promise.startsWith(start));
  if (found === undefined) throw new Error(`nothing is said of ${start}`);
  return found;
};

t.test('bytes are held against the way with the whole memory, over the same link', async (t) => {
  const verdicts = on(
    measurement(fast, Way.stopAndStart, bytes(10)),
    measurement(fast, Way.checkpoint, bytes(1_000)),
    measurement(fast, Way.there, bytes(400)),
    measurement(fast, Way.back, bytes(150)),
    measurement(slow, Way.checkpoint, bytes(1_000)),
    measurement(slow, Way.there, bytes(600)),
  );
  t.match(about(verdicts, '1gbit: bytes / save'), { value: 0.4, finding: Finding.met });
  t.match(about(verdicts, '1gbit: bytes of the way back'), { value: 0.15, finding: Finding.notMet });
  t.match(about(verdicts, '100mbit: bytes / save'), { value: 0.6, finding: Finding.notMet });
  t.match(about(verdicts, '100mbit: bytes of the way back'), { finding: Finding.notMeasured });
});

t.test(
  'the freeze is held against Docker’s two commands alone, and against moves of the runc engine',
  async (t) => {
    const verdicts = on(
      ...[500, 450, 9_000].map((frozenMs) => measurement(fast, Way.there, { frozenMs })),
      measurement(fast, Way.back, { frozenMs: 400 }),
      measurement(fast, Way.repeat, { frozenMs: 600 }),
      measurement(fast, Way.checkpoint, { frozenMs: 50_000, engineMs: 3_000 }),
      ...[200, 360].map((frozenMs) => measurement(fast, Way.runc, { frozenMs })),
    );
    const commands = about(verdicts, '1gbit: frozenMs / Docker');
    t.equal(commands.value?.toFixed(3), '0.167');
    t.equal(commands.finding, Finding.met);
    t.match(about(verdicts, '1gbit: frozenMs more than with runc'), { value: 220, finding: Finding.notMet });
  },
);

t.test('the last pass over the files is that of Holdfast, whichever way it went', async (t) => {
  const verdicts = on(
    measurement(fast, Way.checkpoint, { lastPassMs: 4_000 }),
    measurement(fast, Way.there, { lastPassMs: 90 }),
    measurement(fast, Way.back, { lastPassMs: 70 }),
    measurement(fast, Way.runc, { lastPassMs: null }),
  );
  t.match(about(verdicts, '1gbit: last pass'), { value: 80, finding: Finding.met });
});

t.test(
  'one failed request of one Holdfast move is one too many; what the commands lose is their own',
  async (t) => {
    const plain = measurement(fast, Way.stopAndStart, { failed: 900, lost: 4_000 });
    const faults = (...own: Measurement[]) => about(on(plain, ...own), '1gbit: failed and lost');
    t.match(faults(measurement(fast, Way.back)), { value: 0, finding: Finding.met });
    t.match(faults(measurement(fast, Way.runc, { lost: 1 })), { value: 1, finding: Finding.notMet });
    t.match(faults(), { value: null, finding: Finding.notMeasured });
  },
);
