import { once } from 'node:events';
import t from 'tap';
import { DumpMemory } from '../../../migrator/engine/engine.ts';
import { HoldfastError } from '../../../migrator/errors.ts';
import { APP, migrateUpTo, soon, type TestHost, twoHosts } from './two-hosts.ts';

const LEASE_MS = 3_000;

/** Two hosts whose containers own files; the app has one. */
async function twoHostsWithFiles(t: Parameters<typeof twoHosts>[0]) {
  const hosts = await twoHosts(t);
  for (const { engine } of [hosts.a, hosts.b]) engine.ownFiles();
  hosts.a.engine.files.set(APP, { 'a.txt': 'first' });
  return hosts;
}

/** Have a call of the engine wait until it is called off. @returns settles when it waits */
function hangAt(host: TestHost, call: string): Promise<void> {
  return new Promise((resolve) => {
    host.engine.before.set(call, async (signal) => {
      resolve();
      await once(signal, 'abort');
    });
  });
}

t.test(
  'what a container owns goes along while it runs, and what has changed since when it is frozen',
  async (t) => {
    const hosts = await twoHostsWithFiles(t);
    const { a, b } = hosts;
    await migrateUpTo('connect', hosts);
    const { fileBytes, layerBytes, bytesSent } = await a.agent.bring('m1', soon());
    t.equal(fileBytes, JSON.stringify({ 'a.txt': 'first' }).length);
    t.equal(layerBytes, 0);
    t.ok(bytesSent > fileBytes, 'what was on the wire is counted');
    t.match(await a.agent.bring('m1', soon()), { fileBytes: 0 }, 'what is there is not sent again');
    await b.agent.standBy('m1', soon());
    a.engine.files.set(APP, { 'a.txt': 'first', 'b.txt': 'second' });
    await a.agent.freeze('m1', soon());
    await a.agent.dump('m1', DumpMemory.inImages, soon());
    const sent = await a.agent.send('m1', soon());
    t.equal(sent.fileBytes, JSON.stringify({ 'b.txt': 'second' }).length);
    t.ok(sent.bytesSent > bytesSent);
    t.ok(sent.lastPassMs > 0, 'how long that took is told');
    await b.agent.restore('m1', soon());
    t.same(b.engine.files.get(APP), { 'a.txt': 'first', 'b.txt': 'second' });
    await b.agent.commit('m1', soon());
    await a.agent.finish('m1', soon());
    t.ok(a.engine.calls.includes('letGo'));
  },
);

t.test('an engine whose containers own nothing has nothing to do with it', async (t) => {
  const hosts = await twoHosts(t);
  const { brings } = await hosts.a.agent.examine('m1', APP, soon());
  t.equal(brings, false);
  await migrateUpTo('connect', hosts);
  await t.rejects(hosts.a.agent.bring('m1', soon()), { code: 'MIGRATION_PHASE' });
});

t.test(
  'why the destination cannot take it in is told at the source, and it may be tried again',
  async (t) => {
    const hosts = await twoHostsWithFiles(t);
    const { a, b } = hosts;
    await migrateUpTo('connect', hosts);
    b.engine.before.set('received', async () => {
      throw new HoldfastError('FILES_DISK_FULL', 'there is no room', { mend: 'make room' });
    });
    await t.rejects(a.agent.bring('m1', soon()), { code: 'FILES_DISK_FULL', mend: 'make room' });
    b.engine.before.clear();
    await a.agent.bring('m1', soon());
    t.same(b.engine.files.get(APP), { 'a.txt': 'first' });
  },
);

t.test('what cannot be brought in the freeze ends the sending of memory as well', async (t) => {
  const hosts = await twoHostsWithFiles(t);
  const { a, b } = hosts;
  await migrateUpTo('freeze', hosts);
  b.engine.before.set('received', async () => {
    throw new HoldfastError('FILES_DISK_FULL', 'there is no room');
  });
  await a.agent.dump('m1', DumpMemory.inImages, soon());
  await t.rejects(a.agent.send('m1', soon()), { code: 'FILES_DISK_FULL' });
  await b.agent.discard('m1', soon());
  await a.agent.thaw('m1', soon());
  t.equal(a.engine.states.get(APP), 'running');
  t.same([...(await a.leftovers()), ...(await b.leftovers())], []);
});

for (const at of ['sendAhead', 'receive', 'received']) {
  t.test(`a migration that is called off during ${at} ends it at both ends`, async (t) => {
    const hosts = await twoHostsWithFiles(t);
    const { a, b } = hosts;
    await migrateUpTo('connect', hosts);
    const hangs = hangAt(at === 'sendAhead' ? a : b, at);
    const brought = t.rejects(a.agent.bring('m1', soon()), { code: 'INTERRUPTED' });
    await hangs;
    await t.rejects(a.agent.bring('m1', soon()), { code: 'CONTAINER_BUSY' });
    await a.agent.thaw('m1', soon());
    await brought;
    await b.agent.discard('m1', soon());
    t.ok(a.engine.calls.includes('letGo'));
    t.equal(a.engine.states.get(APP), 'running');
    t.same([...(await a.leftovers()), ...(await b.leftovers())], []);
    b.engine.before.clear();
    a.engine.before.clear();
    await migrateUpTo('commit', hosts, { id: 'm2' });
    t.same(b.engine.files.get(APP), { 'a.txt': 'first' });
  });
}

t.test('a destination that is told to discard tells the source so', async (t) => {
  const hosts = await twoHostsWithFiles(t);
  const { a, b } = hosts;
  await migrateUpTo('connect', hosts);
  const hangs = hangAt(b, 'received');
  const brought = t.rejects(a.agent.bring('m1', soon()), { code: 'INTERRUPTED' });
  await hangs;
  await b.agent.discard('m1', soon());
  await brought;
  await t.rejects(a.agent.bring('m1', soon()), { code: 'MIGRATION_OVER' });
});

t.test('a destination whose agent ends meanwhile is an error, not a hang', async (t) => {
  const hosts = await twoHostsWithFiles(t);
  const { a, b } = hosts;
  await migrateUpTo('connect', hosts);
  const hangs = hangAt(b, 'received');
  const brought = a.agent.bring('m1', soon()).then(
    () => 'brought',
    (error: HoldfastError) => error.code,
  );
  await hangs;
  await b.stop();
  t.ok(['INTERRUPTED', 'LINK_BROKEN'].includes(await brought));
  await t.rejects(a.agent.bring('m1', soon()), { code: 'LINK_BROKEN', retryable: true });
  await a.agent.thaw('m1', soon());
});

t.test('a source that was started anew watches nothing of what was there before', async (t) => {
  const hosts = await twoHostsWithFiles(t);
  const { a } = hosts;
  await migrateUpTo('bring', hosts);
  await a.crash();
  a.engine.calls.length = 0;
  await a.start();
  t.equal(a.engine.calls[0], 'letGo');
  await t.rejects(a.agent.bring('m1', soon()), { code: 'MIGRATION_OVER' });
});

for (const call of ['keep', 'letGo']) {
  t.test(`an engine that is away for its ${call} is told when it is back`, async (t) => {
    const hosts = await twoHostsWithFiles(t);
    const { a, b } = hosts;
    const { engine } = call === 'keep' ? b : a;
    const away = new HoldfastError('DOCKER_UNREACHABLE', 'it does not answer', { retryable: true });
    let asked = 0;
    const back = new Promise<void>((resolve) => {
      engine.before.set(call, async () => {
        asked += 1;
        if (asked < 3) throw away;
        resolve();
      });
    });
    await migrateUpTo(call === 'keep' ? 'commit' : 'connect', hosts);
    await a.agent[call === 'keep' ? 'finish' : 'thaw']('m1', soon());
    await back;
    t.ok(asked >= 3);
  });
}

t.test('an engine that was not told of an end is told by the next agent', async (t) => {
  const hosts = await twoHostsWithFiles(t);
  const { b } = hosts;
  await migrateUpTo('commit', hosts);
  await b.crash();
  const told = new Promise<void>((resolve) => {
    b.engine.before.set('keep', async () => resolve());
  });
  await b.start();
  await told;
  t.notOk(b.engine.calls.includes('remove'));
});

t.test(
  'the lease begins when the destination stands by, however long things were brought before',
  async (t) => {
    const hosts = await twoHostsWithFiles(t);
    const { b } = hosts;
    let removed = 0;
    const gone = new Promise<void>((resolve) => {
      b.engine.before.set('remove', async () => {
        removed = performance.now();
        resolve();
      });
    });
    let stoodBy = 0;
    b.engine.before.set('standBy', async () => {
      // Only time can show that nothing runs out.
      await once(AbortSignal.timeout(LEASE_MS + 200), 'abort');
      stoodBy = performance.now();
    });
    await migrateUpTo('stand-by', hosts, { leaseMs: LEASE_MS });
    await gone;
    t.ok(removed - stoodBy >= LEASE_MS - 1, 'a whole lease after standing by');
    await t.rejects(b.agent.standBy('m1', soon()), { code: 'MIGRATION_OVER' });
  },
);

t.test('no restore begins while anything is still being brought', async (t) => {
  const hosts = await twoHostsWithFiles(t);
  const { a, b } = hosts;
  await migrateUpTo('freeze', hosts);
  const hangs = hangAt(b, 'received');
  await a.agent.dump('m1', DumpMemory.inImages, soon());
  const sent = t.rejects(a.agent.send('m1', soon()), { code: 'INTERRUPTED' });
  await hangs;
  await t.rejects(b.agent.restore('m1', soon()), { code: 'MIGRATION_PHASE' });
  await b.agent.discard('m1', soon());
  await sent;
});
