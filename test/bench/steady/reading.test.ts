import t from 'tap';
import { coresIn } from '../../../bench/steady/cores.ts';
import { answeredIn } from '../../../bench/steady/holdfast.ts';
import { readWrk } from '../../../bench/steady/wrk.ts';
import { Metrics } from '../../../gateway/metrics/metrics.ts';

t.test('what wrk counted is read from its last line', async (t) => {
  const counts = {
    ...{ requests: 100_000, durationUs: 2_000_000, p50Us: 1_234, p99Us: 5_678 },
    ...{ connect: 1, read: 2, write: 0, timeout: 0, status: 4 },
  };
  const output = `Running 2s test @ http://127.0.0.1/\n  1 threads\nholdfast-wrk ${JSON.stringify(counts)}\n`;
  t.same(readWrk(output), {
    requests: 100_000,
    requestsPerS: 50_000,
    p50Ms: 1.234,
    p99Ms: 5.678,
    errors: 7,
  });
  t.throws(() => readWrk('unable to connect'), /wrk gave no counts:\nunable to connect/);
});

t.test('requests that the gateway answered are counted over all apps and codes', async (t) => {
  const metrics = new Metrics(() => []);
  t.equal(answeredIn(await metrics.text()), 0);
  metrics.requestFinished('shop', 'GET', 200, 1);
  metrics.requestFinished('shop', 'GET', 503, 1);
  metrics.requestFinished('blog', 'POST', 200, 1);
  t.equal(answeredIn(await metrics.text()), 3);
});

t.test('cores are read as the kernel lists them', async (t) => {
  t.same(coresIn('0'), [0]);
  t.same(coresIn('0-3'), [0, 1, 2, 3]);
  t.same(coresIn('1,4-5,7'), [1, 4, 5, 7]);
});
