import { readFile } from 'node:fs/promises';
import t from 'tap';
import { Metrics } from '../../../gateway/metrics/metrics.ts';
import { Outcome } from '../../../migrator/events.ts';

const about = { migrationId: 'm1', app: 'shop', at: '2026-01-01T00:00:00Z', elapsedMs: 900 };

t.test('requests are counted by app, method and code', async (t) => {
  const metrics = new Metrics(() => []);
  metrics.requestFinished('shop', 'GET', 200, 12);
  metrics.requestFinished('shop', 'GET', 200, 400);
  const text = await metrics.text();
  t.match(text, 'holdfast_requests_total{app="shop",method="GET",code="200"} 2');
  t.match(text, 'holdfast_request_duration_seconds_bucket{le="0.025",app="shop"} 1');
});

t.test('made-up methods share one series', async (t) => {
  const metrics = new Metrics(() => []);
  metrics.requestFinished('shop', 'BREW', 405, 1);
  metrics.requestFinished('shop', 'STEEP', 405, 1);
  t.match(await metrics.text(), 'holdfast_requests_total{app="shop",method="other",code="405"} 2');
});

t.test('a WebSocket is counted, but its length is nobody’s response time', async (t) => {
  const metrics = new Metrics(() => []);
  metrics.requestFinished('shop', 'GET', 101, 3_600_000);
  const text = await metrics.text();
  t.match(text, 'code="101"} 1');
  t.notMatch(text, 'holdfast_request_duration_seconds_count');
});

t.test('what is held is read from the gates when asked', async (t) => {
  let held = 3;
  const metrics = new Metrics(() => [['shop', held]]);
  t.match(await metrics.text(), 'holdfast_held_requests{app="shop"} 3');
  held = 0;
  t.match(await metrics.text(), 'holdfast_held_requests{app="shop"} 0');
});

t.test('which HAProxys answer is asked with the metrics', async (t) => {
  const metrics = new Metrics(
    () => [],
    () => [
      ['/run/one.sock', true],
      ['10.0.0.5:9999', false],
    ],
  );
  const text = await metrics.text();
  t.match(text, 'holdfast_haproxy_up{haproxy="/run/one.sock"} 1');
  t.match(text, 'holdfast_haproxy_up{haproxy="10.0.0.5:9999"} 0');
});

t.test('holds and refusals are told apart', async (t) => {
  const metrics = new Metrics(() => []);
  metrics.holdEnded('shop', 320);
  metrics.requestRejected('shop', 'too-many-held');
  const text = await metrics.text();
  t.match(text, 'holdfast_hold_duration_seconds_bucket{le="0.4",app="shop"} 1');
  t.match(text, 'holdfast_rejected_requests_total{app="shop",reason="too-many-held"} 1');
});

t.test('a migration counts once, when it has ended', async (t) => {
  const metrics = new Metrics(() => []);
  metrics.migrationEvent({ ...about, type: 'started', strategy: 'pre-copy', from: 'a', to: 'b' });
  metrics.migrationEvent({
    ...about,
    type: 'ended',
    outcome: Outcome.succeeded,
    figures: { totalMs: 900, frozenMs: 280 },
  });
  const text = await metrics.text();
  t.match(text, 'holdfast_migrations_total{app="shop",outcome="succeeded"} 1');
  t.match(text, 'holdfast_frozen_seconds_bucket{le="0.3"} 1');
});

t.test('what a migration took is counted beside what was predicted', async (t) => {
  const metrics = new Metrics(() => []);
  const predicted = {
    strategy: 'pre-copy' as const,
    frozenMs: 220,
    holdMs: 300,
    totalMs: 1000,
    bytesSent: 100,
    rounds: 2,
    bothHostsMs: 0,
    remark: '',
  };
  const figures = { totalMs: 900, frozenMs: 280 };
  metrics.migrationEvent({ ...about, type: 'ended', outcome: Outcome.succeeded, figures, predicted });
  metrics.migrationEvent({ ...about, type: 'ended', outcome: Outcome.rolledBack, figures, predicted });
  const text = await metrics.text();
  t.match(text, 'holdfast_predicted_frozen_seconds_bucket{le="0.25"} 1');
  t.match(text, 'holdfast_prediction_error_ratio_bucket{le="0.3",figure="frozenMs"} 1');
  t.match(text, 'holdfast_prediction_error_ratio_bucket{le="0.2",figure="frozenMs"} 0');
  t.match(text, 'holdfast_prediction_error_ratio_count{figure="totalMs"} 1');
  t.notMatch(text, 'figure="bytesSent"', 'what did not come to anything has no error');
});

t.test('docs/metrics.md lists exactly the metrics there are', async (t) => {
  const page = await readFile(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `(holdfast_\w+)/gm)].map((match) => match[1]);
  t.same(documented.sort(), new Metrics(() => []).names().sort());
});
