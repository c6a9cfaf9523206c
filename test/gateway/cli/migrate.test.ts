import t from 'tap';
import { Fault } from '../../migrator/world.ts';
import { toyFleet } from '../admin/toy-fleet.ts';
import { gateway } from './run.ts';

t.test('a move is shown step by step, and then summed up', async (t) => {
  const { url, world } = await toyFleet(t);
  const { code, stdout, stderr } = await gateway(['migrate', 'shop', '--to', 'b', '--admin', url]);
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, /^moving shop from a to b \(\S+\)\n {2}preflight +[\d.]+ ms/);
  t.match(stdout, /^ {2}hybrid: requests are held for \d+ ms/m);
  t.match(stdout, /^ {2}send +[\d.]+ ms {2}sent 0.0 MiB, image 0.0 MiB$/m);
  t.match(
    stdout,
    /^succeeded; total \d.* ms, frozen [\d.]+ ms, held [\d.]+ ms, 0 requests held, .*0.0 MiB sent$/m,
  );
  t.match(stdout, /^predicted: total \d+ ms, frozen \d+ ms, held \d+ ms, [\d.]+ MiB sent$/m);
  t.notMatch(stdout, '\u001b', 'plain when piped');
  t.same(world.running(), ['b']);
});

t.test('with --verify the step and what was compared are shown', async (t) => {
  const { url } = await toyFleet(t);
  const order = ['migrate', 'shop', '--to', 'b', '--verify', '--admin', url];
  const { code, stdout } = await gateway(order);
  t.equal(code, 0);
  t.match(stdout, /^ {2}verify +[\d.]+ ms {2}processes 1, verified 0.0 MiB$/m);
  t.match(stdout, /^succeeded; .*, 0.0 MiB of memory verified$/m);
});

t.test('with --json one object is printed and nothing else', async (t) => {
  const { url } = await toyFleet(t);
  const { code, stdout } = await gateway(['migrate', 'shop', '--to', 'b', '--json', '--admin', url]);
  t.equal(code, 0);
  t.match(JSON.parse(stdout), {
    app: 'shop',
    from: 'a',
    to: 'b',
    state: 'succeeded',
    strategy: 'hybrid',
    predicted: { strategy: 'hybrid', frozenMs: Number, bytesSent: Number },
    figures: { bytesSent: 2 },
  });
});

t.test('a strategy may be chosen, and no other than those there are', async (t) => {
  const { url } = await toyFleet(t);
  const order = ['migrate', 'shop', '--to', 'b', '--admin', url, '--strategy'];
  t.match(await gateway([...order, 'post-haste']), { code: 2, stderr: /stop-and-copy, pre-copy/ });
  const { code, stdout } = await gateway([...order, 'stop-and-copy', '--json']);
  t.equal(code, 0);
  const record = JSON.parse(stdout);
  t.equal(record.strategy, 'stop-and-copy');
  t.notOk(record.steps.some(({ step }: { step: string }) => step === 'pre-copy'));
});

t.test('a rate may be given, in bits or in bytes', async (t) => {
  const { url } = await toyFleet(t);
  const order = ['migrate', 'shop', '--to', 'b', '--admin', url, '--json', '--limit-rate'];
  t.match(await gateway([...order, '200k']), { code: 2, stderr: /as 200mbit or 25MB\/s/ });
  const { code, stdout } = await gateway([...order, '25MB/s']);
  t.equal(code, 0);
  t.equal(JSON.parse(stdout).limitRateBps, 200e6);
});

t.test('a move that was rolled back exits 1 and says what failed', async (t) => {
  const { url, world } = await toyFleet(t);
  world.faults.set('b.restore', Fault.refuses);
  const { code, stdout, stderr } = await gateway(['migrate', 'shop', '--to', 'b', '--admin', url]);
  t.equal(code, 1);
  t.match(stdout, /^ {2}restore +[\d.]+ ms {2}failed: REFUSED$/m);
  t.match(stdout, /^ {2}freeze undone$/m);
  t.match(stdout, /^rolled back, the app runs on where it was; total/m);
  t.match(stderr, /^gateway: REFUSED: b will not restore\n/);
  t.same(world.running(), ['a']);
});

t.test('a move that is refused exits 2', async (t) => {
  const { url, world } = await toyFleet(t);
  t.match(await gateway(['migrate', 'shop', '--to', 'a', '--admin', url]), {
    code: 2,
    stdout: '',
    stderr: /^gateway: ALREADY_THERE: shop runs on a already\n/,
  });
  world.faults.set('b.admit', Fault.refuses);
  const preflight = await gateway(['migrate', 'shop', '--to', 'b', '--admin', url]);
  t.equal(preflight.code, 2);
  t.match(preflight.stdout, /^refused, nothing was touched; total/m);
});
