import { randomBytes } from 'node:crypto';
import t from 'tap';
import { DumpMemory } from '../../../migrator/engine/engine.ts';
import { APP, migrateUpTo, soon, twoHosts } from './two-hosts.ts';

t.test('a container moves with its memory, and nothing is left of the move', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b } = hosts;
  const memory = Buffer.concat([
    randomBytes(1 << 20),
    Buffer.alloc(3 << 20),
    Buffer.from('state '.repeat(400_000)),
    randomBytes(12_345),
  ]);
  a.engine.memory.set(APP, memory);
  await migrateUpTo('connect', hosts);
  const before = performance.now();
  const { frozenAt } = await a.agent.freeze('m1', soon());
  t.ok(frozenAt >= before && frozenAt <= performance.now(), 'the freeze is told in the caller’s time');
  await a.agent.dump('m1', DumpMemory.inImages, soon());
  const { bytesSent, imageBytes } = await a.agent.send('m1', soon());
  t.equal(imageBytes, memory.length + 'registers'.length);
  t.ok(bytesSent > 1 << 20, 'what is random travels whole');
  // Repetitions are encoded only where that is sooner: a machine's own link may be quicker.
  t.ok(bytesSent < memory.length - (3 << 20) + (64 << 10), 'zeros do not travel');
  const { runningAt } = await b.agent.restore('m1', soon());
  t.ok(runningAt > frozenAt && runningAt <= performance.now());
  await b.agent.health('m1', soon());
  await b.agent.commit('m1', soon());
  await a.agent.finish('m1', soon());
  t.ok(b.engine.memory.get(APP)?.equals(memory), 'every byte arrived');
  t.match(await b.agent.containers(soon()), [{ name: APP, state: 'running' }]);
  t.match(await a.agent.containers(soon()), [{ name: APP, state: 'absent' }]);
  t.same([...(await a.leftovers()), ...(await b.leftovers())], []);
});

t.test('memory is summed while nothing runs, and what was restored frozen is no commit yet', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b } = hosts;
  a.engine.memory.set(APP, randomBytes(1 << 20));
  await migrateUpTo('freeze', hosts);
  await t.rejects(b.agent.sums('m1', soon()), { code: 'MIGRATION_PHASE' });
  await a.agent.dump('m1', DumpMemory.inImages, soon());
  await a.agent.send('m1', soon());
  await b.agent.restoreFrozen('m1', soon());
  t.same(await b.agent.sums('m1', soon()), await a.agent.sums('m1', soon()));
  t.same(await b.agent.rangeSums('m1', 1, soon()), await a.agent.rangeSums('m1', 1, soon()));
  await t.rejects(b.agent.commit('m1', soon()), { code: 'MIGRATION_PHASE' });
  await t.rejects(b.agent.health('m1', soon()), { code: 'MIGRATION_PHASE' });
  const { runningAt } = await b.agent.resume('m1', soon());
  t.ok(runningAt <= performance.now());
  await t.rejects(b.agent.sums('m1', soon()), { code: 'MIGRATION_PHASE' });
  await b.agent.commit('m1', soon());
  await a.agent.finish('m1', soon());
  t.match(await b.agent.containers(soon()), [{ name: APP, state: 'running' }]);
  t.same([...(await a.leftovers()), ...(await b.leftovers())], []);
});

t.test('a container whose engine is away is told of as unknown', async (t) => {
  const { a } = await twoHosts(t);
  a.engine.status = () => Promise.reject(new Error('nobody listens'));
  t.match(await a.agent.containers(soon()), [
    { name: APP, engine: a.engine.name, state: 'unknown', port: 0 },
  ]);
});

t.test('every end may be told twice', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b } = hosts;
  await migrateUpTo('commit', hosts);
  await b.agent.commit('m1', soon());
  await a.agent.finish('m1', soon());
  await a.agent.finish('m1', soon());
  t.equal(a.engine.calls.filter((call) => call === 'remove').length, 1);
  await b.agent.remove(APP, soon());
  await a.agent.start(APP, soon());
  await migrateUpTo('send', hosts, { id: 'm2' });
  await b.agent.discard('m2', soon());
  await b.agent.discard('m2', soon());
  await a.agent.thaw('m2', soon());
  await a.agent.thaw('m2', soon());
  t.equal(a.engine.calls.filter((call) => call === 'thaw').length, 1);
  t.equal(a.engine.states.get(APP), 'running');
  t.same([...(await a.leftovers()), ...(await b.leftovers())], []);
});

t.test('what is over stays over', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b } = hosts;
  await migrateUpTo('restore', hosts);
  await b.agent.discard('m1', soon());
  t.equal(b.engine.states.get(APP), undefined);
  await t.rejects(b.agent.commit('m1', soon()), { code: 'LEASE_EXPIRED' });
  await a.agent.thaw('m1', soon());
  await t.rejects(a.agent.finish('m1', soon()), { code: 'MIGRATION_OVER' });
  t.equal(a.engine.states.get(APP), 'running');
  await migrateUpTo('commit', hosts, { id: 'm2' });
  await t.rejects(b.agent.discard('m2', soon()), { code: 'MIGRATION_OVER' });
  t.equal(b.engine.states.get(APP), 'running');
  await t.rejects(b.agent.commit('never-heard-of', soon()), { code: 'LEASE_EXPIRED' });
});

t.test('a prepare that comes after its own discard does nothing', async (t) => {
  const { a, b } = await twoHosts(t);
  const { footprint } = await a.agent.examine('m1', APP, soon());
  await b.agent.admit('m1', APP, footprint, soon());
  await b.agent.discard('m1', soon());
  await t.rejects(b.agent.prepare('m1', { container: APP, leaseMs: 1000 }, soon()), {
    code: 'MIGRATION_OVER',
  });
  t.notOk(b.engine.calls.includes('prepare'));
});

t.test('a container that lives at the destination is neither replaced nor removed', async (t) => {
  const hosts = await twoHosts(t);
  const { b } = hosts;
  b.engine.states.set(APP, 'running');
  await t.rejects(migrateUpTo('prepare', hosts), { code: 'CONTAINER_EXISTS' });
  await b.agent.discard('m1', soon());
  t.equal(b.engine.states.get(APP), 'running');
});

t.test('a container in the hands of one migration is busy for another', async (t) => {
  const hosts = await twoHosts(t);
  const { a, b } = hosts;
  await migrateUpTo('freeze', hosts);
  await t.rejects(a.agent.examine('m2', APP, soon()), { code: 'CONTAINER_BUSY' });
  await t.rejects(a.agent.connect('m2', { container: APP, to: b.agent.url }, soon()), {
    code: 'CONTAINER_BUSY',
  });
  await t.rejects(a.agent.remove(APP, soon()), { code: 'CONTAINER_BUSY' });
  await t.rejects(b.agent.start(APP, soon()), { code: 'CONTAINER_BUSY' });
  t.match(await a.agent.containers(soon()), [{ state: 'frozen', migration: { id: 'm1', role: 'source' } }]);
});

t.test('a migration called off before its freeze does not stand in the way of the next', async (t) => {
  const hosts = await twoHosts(t);
  await migrateUpTo('connect', hosts);
  await hosts.b.agent.discard('m1', soon());
  await migrateUpTo('commit', hosts, { id: 'm2' });
  t.equal(hosts.b.engine.states.get(APP), 'running');
});

t.test('nothing is restored before all images have arrived', async (t) => {
  const hosts = await twoHosts(t);
  await migrateUpTo('freeze', hosts);
  await t.rejects(hosts.b.agent.restore('m1', soon()), { code: 'MIGRATION_PHASE' });
  t.notOk(hosts.b.engine.calls.includes('restore'));
});

t.test('a thaw ends the dump that is under way', async (t) => {
  const hosts = await twoHosts(t);
  const { a } = hosts;
  await migrateUpTo('freeze', hosts);
  const dumping = new Promise<void>((resolve) => {
    a.engine.before.set('dump', (signal) => {
      resolve();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    });
  });
  const dump = a.agent.dump('m1', DumpMemory.inImages, soon());
  const interrupted = t.rejects(dump, { code: 'INTERRUPTED' });
  await dumping;
  await a.agent.thaw('m1', soon());
  await interrupted;
  t.equal(a.engine.states.get(APP), 'running');
});

t.test('an engine’s failure reaches the caller with its code', async (t) => {
  const hosts = await twoHosts(t);
  const { b } = hosts;
  b.engine.before.set('restore', () => Promise.reject(new Error('no such luck')));
  await t.rejects(migrateUpTo('restore', hosts), { code: 'INTERNAL', message: 'no such luck' });
  await t.rejects(b.agent.commit('m1', soon()), { code: 'MIGRATION_PHASE' });
  await t.rejects(b.agent.start('unheard-of', soon()), { code: 'CONTAINER_UNKNOWN' });
});
