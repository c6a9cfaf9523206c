import t from 'tap';
import type { Measurement } from '../../../bench/steady/measurement.ts';
import { steadyTable, summaryOf, verdictsOn } from '../../../bench/steady/report.ts';
import { Finding } from '../../../bench/verdict.ts';
import { measurement } from './made-up.ts';

const about = (measurements: readonly Measurement[], start: string) => {
  const found = verdictsOn(measurements).find(({ promise }) => promise.startsWith(start));
  if (found === undefined) throw new Error(`nothing is said of ${start}`);
  return found;
};

t.test('a proxy is held against HAProxy alone in the same round, not over all rounds', async (t) => {
  const measurements = [
    measurement('haproxy', 1, 1_000),
    measurement('haproxy-holdfast', 1, 990),
    measurement('haproxy', 2, 500), // Somebody else was busy in this round.
    measurement('haproxy-holdfast', 2, 495),
    measurement('haproxy', 3, 1_000),
    measurement('haproxy-holdfast', 3, 970),
    measurement('haproxy-holdfast', 4, 100), // HAProxy alone was not measured in this one.
  ];
  t.match(about(measurements, 'requests/s of HAProxy under Holdfast'), { value: 0.99, finding: Finding.met });
  const [alone, under] = summaryOf(measurements);
  t.match(alone, { proxy: 'haproxy', rounds: 3, requestsPerS: { median: 1_000 }, ratio: { median: 1 } });
  t.match(under, { proxy: 'haproxy-holdfast', rounds: 4, ratio: { median: 0.99, lower: 0.98, upper: 0.99 } });
});

t.test(
  'what becomes slower while all take turns does so for all, as they take turns backwards too',
  async (t) => {
    const speeds = [1_000, 980, 960, 940]; // By itself, at the first turn, the second, …
    const order = ['haproxy', 'haproxy-holdfast', 'haproxy-holdfast', 'haproxy'];
    const [, under] = summaryOf(
      order.map((proxy, i) => measurement(proxy, 1, speeds[i] ?? 0, { cpuUsPerRequest: 20 + i })),
    );
    t.match(under, { rounds: 1, ratio: { median: 1 }, cpuRatio: { median: 1 } });
    const [, halfway] = summaryOf(order.slice(0, 3).map((proxy) => measurement(proxy, 1, 1_000)));
    t.equal(halfway?.ratio, null, 'a round that was left unfinished tells of nothing');
  },
);

t.test('less than 98 of a hundred is too little', async (t) => {
  const measurements = [measurement('haproxy', 1, 1_000), measurement('haproxy-holdfast', 1, 979)];
  t.match(about(measurements, 'requests/s of HAProxy under Holdfast'), { finding: Finding.notMet });
});

t.test('one request through Node is one too many, and so is one error', async (t) => {
  const by = (through: number) => [measurement('haproxy-holdfast', 1, 1, { throughNode: through })];
  t.match(about(by(0), 'requests that came'), { value: 0, finding: Finding.met });
  t.match(about(by(1), 'requests that came'), { value: 1, finding: Finding.notMet });
  const errors = [measurement('nginx', 1, 1), measurement('http-proxy', 1, 1, { errors: 2 })];
  t.match(about(errors, 'errors'), { value: 2, finding: Finding.notMet });
});

t.test('what was not measured is neither met nor missed', async (t) => {
  for (const { value, finding } of verdictsOn([])) t.same([value, finding], [null, Finding.notMeasured]);
  t.match(about([measurement('nginx', 1, 1)], 'requests that came'), { finding: Finding.notMeasured });
});

t.test('the table has a line for each proxy that was measured, in the same order always', async (t) => {
  const measurements = [
    measurement('nginx', 1, 30_000, { cpuUsPerRequest: 33.3 }),
    measurement('haproxy-holdfast', 1, 49_000, { throughNode: 0 }),
    measurement('haproxy', 1, 50_000),
    measurement('haproxy', 2, 52_000),
  ];
  const lines = steadyTable(summaryOf(measurements)).split('\n');
  t.equal(lines.length, 5);
  t.match(
    lines[2],
    /^HAProxy alone +2 +51,000 \[50,000–52,000\] +1\.000 +20 +1\.000 +1\.20 +2\.50 +0\.99 +0 +–$/,
  );
  t.match(lines[3], /^HAProxy under Holdfast +1 +49,000 +0\.980 .* 0 +0$/);
  t.match(lines[4], /^nginx +1 +30,000 +0\.600 +33\.3 /);
});
