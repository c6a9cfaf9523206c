import t from 'tap';
import type { LoadCounts } from '../../../bench/flip/load.ts';
import { parseFlipOptions } from '../../../bench/flip/options.ts';
import { type Flip, flipOf, flipTable, percentile, verdictsOn } from '../../../bench/flip/report.ts';
import { Finding } from '../../../bench/verdict.ts';

const load = (by: Partial<LoadCounts> = {}): LoadCounts => ({
  due: 100,
  answered: 100,
  failed: 0,
  longestMs: 60,
  reasons: [],
  ...by,
});
const flip = (by: Partial<Flip> = {}): Flip => ({
  flipMs: 5,
  heldMs: 9,
  requests: 8,
  lateRequests: 0,
  ...by,
});
const findings = (flips: readonly Flip[], by: Partial<LoadCounts> = {}) =>
  verdictsOn(flips, load(by)).map(({ finding }) => finding);

t.test('a flip lasts from the order to the last request that still came', async (t) => {
  t.same(flipOf([90, 99, 101, 104, 107.5], 100, 110), {
    flipMs: 7.5,
    heldMs: 10,
    requests: 3,
    lateRequests: 0,
  });
  t.match(flipOf([90, 99], 100, 110), { flipMs: 0, requests: 0 }, 'none came');
  t.match(flipOf([101, 111], 100, 110), { flipMs: 11, lateRequests: 1 }, 'one came after it was confirmed');
});

t.test('the median is what is promised; one late request is one too many', async (t) => {
  const { met, notMet, notMeasured } = Finding;
  t.same(findings([flip(), flip({ flipMs: 20 }), flip({ flipMs: 80 })]), [met, met, met]);
  t.same(findings([flip({ flipMs: 20.1 })]), [notMet, met, met]);
  t.same(findings([flip(), flip({ lateRequests: 1 })]), [met, notMet, met]);
  t.same(findings([flip()], { failed: 1 }), [met, met, notMet]);
  t.same(findings([]), [notMeasured, notMeasured, notMeasured]);
});

t.test('the table has the median and what it was at worst', async (t) => {
  const flips = Array.from({ length: 20 }, (_, n) => flip({ flipMs: n + 1 }));
  t.equal(percentile([3, 1, 2], 0.95), 3);
  const line = flipTable(flips).split('\n')[2];
  t.match(line, /source +10\.5 +1\.0 +19\.0 +20\.0$/);
});

t.test('forty flips at 2,000 requests/s when nothing else is asked for', async (t) => {
  t.same(parseFlipOptions([]), { flips: 40, ratePerS: 2_000, haproxys: 1, json: false });
  t.match(parseFlipOptions(['--flips', '3', '--rps', '50', '--haproxys', '2', '--json']), {
    flips: 3,
    ratePerS: 50,
    haproxys: 2,
    json: true,
  });
  for (const args of [['--flips', '0'], ['--haproxys', '17'], ['more']]) {
    t.throws(() => parseFlipOptions(args), { code: 'USAGE' }, args.join(' '));
  }
});
