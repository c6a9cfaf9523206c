import t, { type Test } from 'tap';
import { type Arrival, budgetMs, probeLink, rateOf, receiveProbe } from '../../../migrator/transfer/probe.ts';
import { alone } from './alone.ts';
import { loopback } from './loopback.ts';

/** What arrives over a link of `rate` bytes a millisecond in bursts of so many bytes, one at each of the times given. */
function arriving(rate: number, trains: readonly { atMs: number; bytes: number }[], pieceBytes = 16_384) {
  const arrivals: Arrival[] = [];
  let bytes = 0;
  for (const train of trains) {
    for (let left = train.bytes, atMs = train.atMs; left > 0; left -= pieceBytes) {
      bytes += Math.min(pieceBytes, left);
      atMs += Math.min(pieceBytes, left) / rate;
      arrivals.push({ atMs, bytes });
    }
  }
  return arrivals;
}

const near = (t: Test, actual: number | undefined, wanted: number) =>
  t.ok(Math.abs((actual ?? 0) / wanted - 1) < 0.15, `${actual} for ${wanted} bytes a millisecond`);

t.test('a stream without a pause is as fast as it is', async (t) => {
  for (const rate of [1_250, 12_500, 125_000]) {
    near(t, rateOf(arriving(rate, [{ atMs: 0, bytes: 4 << 20 }])), rate);
  }
});

t.test('the pauses of a slow start are not taken for the link', async (t) => {
  const windows = Array.from({ length: 8 }, (_, nth) => ({ atMs: nth * 100, bytes: 14_600 * 2 ** nth }));
  near(t, rateOf(arriving(12_500, windows)), 12_500);
});

t.test('nor is what a shaper lets through at once', async (t) => {
  const burst = arriving(1_000_000, [{ atMs: 0, bytes: 128 << 10 }]);
  const rest = arriving(12_500, [{ atMs: 1, bytes: 2 << 20 }]).map(({ atMs, bytes }) => ({
    atMs,
    bytes: bytes + (128 << 10),
  }));
  near(t, rateOf([...burst, ...rest]), 12_500);
});

t.test(
  'a link so slow that little arrived still has a rate, one that nothing came over has none',
  async (t) => {
    near(t, rateOf(arriving(50, [{ atMs: 0, bytes: 20_000 }], 1_400)), 50);
    t.equal(rateOf([]), undefined);
    t.equal(rateOf([{ atMs: 0, bytes: 10 }]), undefined);
  },
);

t.test('measuring takes some hundred milliseconds, more only over a distance', async (t) => {
  t.ok(budgetMs(0.3) < 300);
  t.ok(budgetMs(100) <= 1_000);
  t.ok(budgetMs(10_000) <= 1_500);
});

/** The other end: it does not look at the first so many measurements. */
async function linkTo(t: Test, options: { missed: number }) {
  let measured = 0;
  const { link } = await loopback(t, {
    answer: (request, response) => {
      if (request.method === 'GET') response.setHeader('content-type', 'application/json').end('{}');
      else if (++measured > options.missed) void receiveProbe(request, response);
      request.on('error', () => {});
    },
  });
  const probed = link();
  await probed.open(AbortSignal.timeout(5_000));
  return { measure: () => probeLink(probed, alone(), AbortSignal.timeout(20_000)), tries: () => measured };
}

t.test('a link is measured once more where the other end had no time to look', async (t) => {
  const { measure, tries } = await linkTo(t, { missed: 1 });
  t.match(await measure(), { rttMs: Number, rateBpms: Number });
  t.ok(tries() >= 2);
});

t.test('and refused when it never looks', async (t) => {
  const { measure, tries } = await linkTo(t, { missed: Number.POSITIVE_INFINITY });
  await t.rejects(measure(), { code: 'PROBE_FAILED', retryable: true });
  t.equal(tries(), 3);
});
