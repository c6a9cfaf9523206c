import { once } from 'node:events';
import t from 'tap';
import { APP, migrateUpTo, soon, type TestHost, twoHosts } from './two-hosts.ts';

/** It begins with `prepare`: time enough to come to the restore, also on a slow machine. */
const LEASE_MS = 3_000;

/** Wait, by the engine's own word, until it has removed something. */
function removed(host: TestHost): Promise<void> {
  return new Promise((resolve) => {
    host.engine.before.set('remove', async () => resolve());
  });
}

/** What a killed process leaves: an agent on the same records whose predecessor said no goodbye. */
async function crashAndStart(host: TestHost): Promise<void> {
  await host.crash();
  await host.start();
}

t.test('an instance whose lease runs out is destroyed, and cannot be committed', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b } = hosts;
  const gone = removed(b);
  await migrateUpTo('restore', hosts, { leaseMs: LEASE_MS });
  t.equal(b.engine.states.get(APP), 'running');
  await gone;
  await t.rejects(b.agent.commit('m1', soon()), { code: 'LEASE_EXPIRED', retryable: false });
  t.equal(b.engine.states.get(APP), undefined);
  t.same(await b.leftovers(), []);
  await b.agent.discard('m1', soon());
  await a.agent.thaw('m1', soon());
  t.equal(a.engine.states.get(APP), 'running');
});

t.test('a lease that runs out ends the restore that is under way', async (t) => {
  const hosts = await twoHosts(t);
  const { b } = hosts;
  b.engine.before.set(
    'restore',
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  await t.rejects(migrateUpTo('restore', hosts, { leaseMs: LEASE_MS }), { code: 'INTERRUPTED' });
  await b.agent.discard('m1', soon());
  t.equal(b.engine.states.get(APP), undefined);
  t.same(await b.leftovers(), []);
});

t.test('a commit in time ends the lease', async (t) => {
  const hosts = await twoHosts(t);
  const { b } = hosts;
  await migrateUpTo('commit', hosts, { leaseMs: LEASE_MS });
  // Only time can show that a timer does not fire.
  await once(AbortSignal.timeout(LEASE_MS + 200), 'abort');
  t.equal(b.engine.states.get(APP), 'running');
  await b.agent.commit('m1', soon());
});

t.test('a restarted agent destroys what was not committed', async (t) => {
  const hosts = await twoHosts(t);
  const { b } = hosts;
  await migrateUpTo('restore', hosts);
  await crashAndStart(b);
  t.equal(b.engine.states.get(APP), undefined);
  t.same(await b.leftovers(), []);
  await t.rejects(b.agent.commit('m1', soon()), { code: 'LEASE_EXPIRED' });
});

t.test('a restarted agent keeps what was committed', async (t) => {
  const hosts = await twoHosts(t);
  const { b } = hosts;
  await migrateUpTo('commit', hosts);
  await crashAndStart(b);
  t.equal(b.engine.states.get(APP), 'running');
  await b.agent.commit('m1', soon());
  t.notOk(b.engine.calls.includes('remove'));
});

t.test('an agent that is stopped in good order leaves no uncommitted instance', async (t) => {
  const hosts = await twoHosts(t);
  await migrateUpTo('restore', hosts);
  await hosts.b.stop();
  t.equal(hosts.b.engine.states.get(APP), undefined);
});

t.test('a restarted source leaves frozen what was frozen, until it is told', async (t) => {
  const hosts = await twoHosts(t);
  const { a } = hosts;
  await migrateUpTo('dump', hosts);
  await crashAndStart(a);
  t.equal(a.engine.states.get(APP), 'frozen');
  t.match(await a.agent.containers(soon()), [{ state: 'frozen', migration: { id: 'm1', role: 'source' } }]);
  await t.rejects(a.agent.send('m1', soon()), { code: 'MIGRATION_PHASE' });
  await a.agent.thaw('m1', soon());
  t.equal(a.engine.states.get(APP), 'running');
  t.same(await a.leftovers(), []);
});

for (const restarted of [false, true]) {
  const who = restarted ? 'a restarted source' : 'a source';
  t.test(`${who} whose frozen container was killed says so, and it can be started anew`, async (t) => {
    const hosts = await twoHosts(t);
    const { a } = hosts;
    await migrateUpTo('dump', hosts);
    if (restarted) await crashAndStart(a);
    a.engine.states.delete(APP);
    await t.rejects(a.agent.start(APP, soon()), { code: 'CONTAINER_BUSY' });
    await t.rejects(a.agent.thaw('m1', soon()), { code: 'INSTANCE_LOST', retryable: false });
    await t.rejects(a.agent.thaw('m1', soon()), { code: 'INSTANCE_LOST' }, 'as often as it is asked');
    t.same(await a.leftovers(), []);
    await a.agent.start(APP, soon());
    t.equal(a.engine.states.get(APP), 'running');
  });
}

t.test('a restarted source finishes when it is told so', async (t) => {
  const hosts = await twoHosts(t);
  const { a } = hosts;
  await migrateUpTo('commit', hosts);
  await crashAndStart(a);
  await a.agent.finish('m1', soon());
  t.equal(a.engine.states.get(APP), undefined);
  t.same(await a.leftovers(), []);
});

t.test('a source that died before the freeze is as if nothing had been', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b } = hosts;
  await migrateUpTo('connect', hosts);
  await crashAndStart(a);
  t.equal(a.engine.states.get(APP), 'running');
  await a.agent.thaw('m1', soon());
  t.notOk(a.engine.calls.includes('thaw'));
  await b.agent.discard('m1', soon());
  await migrateUpTo('commit', hosts, { id: 'm2' });
});

t.test(
  'the destination’s agent restarting under a standing link ends in an error, not in a hang',
  async (t) => {
    const hosts = await twoHosts(t);
    const { a, b } = hosts;
    await migrateUpTo('dump', hosts);
    await b.stop();
    await t.rejects(a.agent.send('m1', soon()), { code: 'LINK_BROKEN', retryable: true });
    await a.agent.thaw('m1', soon());
    t.equal(a.engine.states.get(APP), 'running');
  },
);
