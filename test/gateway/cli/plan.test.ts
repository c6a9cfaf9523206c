import t from 'tap';
import { toyFleet } from '../admin/toy-fleet.ts';
import { gateway } from './run.ts';

t.test('a plan is a table with a line for each strategy, and says why one is taken', async (t) => {
  const { url, world } = await toyFleet(t);
  const { code, stdout, stderr } = await gateway(['plan', 'shop', '--to', 'b', '--admin', url]);
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, /^link {4}1.0 ms round trip, 800 Mbit\/s\nmemory {2}64.0 MiB, 0.0 MiB\/s written/);
  t.match(stdout, /^learnt {2}nothing yet of these two hosts/m);
  t.match(stdout, /^ +STRATEGY +FROZEN +HOLD +TOTAL +SENT +ROUNDS +REMARK$/m);
  t.match(stdout, /^ +stop-and-copy +\d+ ms +\d+ ms +\d+ ms +[\d.]+ MiB +0 +freeze grows with memory$/m);
  t.match(stdout, /^\* +hybrid +\d+ ms +\d+ ms +\d+ ms +[\d.]+ MiB +2 +0.0 MiB left at the freeze$/m);
  t.match(stdout, /^hybrid: requests are held for \d+ ms/m);
  t.same(world.running(), ['a'], 'nothing moved');
});

t.test('with --json it is one object', async (t) => {
  const { url } = await toyFleet(t);
  const { code, stdout } = await gateway(['plan', 'shop', '--to', 'b', '--json', '--admin', url]);
  t.equal(code, 0);
  t.match(JSON.parse(stdout), {
    strategy: 'hybrid',
    reason: String,
    predictions: [{ strategy: 'stop-and-copy', frozenMs: Number }, { strategy: 'pre-copy' }],
    measured: { rttMs: 1 },
  });
});

t.test('a freeze that would be too long is refused, of a plan and of a move', async (t) => {
  const { url, world } = await toyFleet(t);
  for (const command of ['plan', 'migrate']) {
    const order = [command, 'shop', '--to', 'b', '--max-freeze', '5ms', '--admin', url];
    t.match(
      await gateway(order),
      { code: 2, stderr: /^gateway: FREEZE_TOO_LONG: .*\n {2}allow \d+ ms/ },
      command,
    );
  }
  t.same(world.running(), ['a']);
  const loose = await gateway(['migrate', 'shop', '--to', 'b', '--max-freeze', '60s', '--admin', url]);
  t.equal(loose.code, 0);
});

t.test('a time that is none is a usage error', async (t) => {
  for (const time of ['300', 'soon', '0ms', '5m']) {
    const { code, stderr } = await gateway(['plan', 'shop', '--to', 'b', '--max-freeze', time]);
    t.equal(code, 2, time);
    t.match(stderr, /Write a time as 300ms or 1.5s/);
  }
});
