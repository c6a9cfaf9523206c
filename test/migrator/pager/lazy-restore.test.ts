import t from 'tap';
import { inLab } from '../engine/runc/fixtures/in-lab.ts';
import { app, type LabEngine } from '../engine/runc/fixtures/lab-engine.ts';
import {
  dumpAcross,
  giveCertificates,
  PagerDriver,
  restoreLazily,
  startSource,
} from './fixtures/lazy-scene.ts';

const HEAP_MIB = 48;
const containers = {
  app: app({ env: { HEAP_MIB: String(HEAP_MIB) } }),
  family: app({
    port: 8081,
    env: { PORT: '8081', HEAP_MIB: '8' },
    command: ['sh', '-c', 'for port in 8081 8082 8083; do PORT=$port node /mnt/app.mjs & done; wait'],
  }),
};

await inLab(containers, ['a', 'b'], async ([a, b]) => {
  if (a === undefined || b === undefined) return;
  await giveCertificates([a, b]);

  /** A container of a's restored at b, its memory still at a, and a pager that serves it. */
  async function movedLazily(id: string, container: string, stallMs?: number) {
    const from = a as LabEngine;
    const to = b as LabEngine;
    const source = await startSource(from, container);
    const target = await to.workspace(id);
    await to.call('prepare', container, target);
    const pager = new PagerDriver(to);
    await pager.start(from, target, stallMs);
    await dumpAcross(from, to, container, target);
    await pager.serve(target, container);
    await restoreLazily(to, container, target);
    return {
      pager,
      target,
      source,
      async end() {
        await pager.kill();
        source.kill('SIGKILL');
        await to.call('remove', container);
        await from.call('thaw', container);
      },
    };
  }

  await a.call('start', 'app');
  const { digest } = await a.ask('/digest');

  await t.test('a container runs on while its memory follows, and all of it is what it was', async (t) => {
    const move = await movedLazily('whole', 'app');
    t.match(await b.ask('/count'), { count: 1, blocks: HEAP_MIB });
    t.equal((await b.ask('/digest')).digest, digest);
    const { state, figures } = await move.pager.ended();
    t.equal(state, 'complete');
    t.equal(figures.remainingBytes, 0);
    t.equal(figures.fromStoreBytes, 0, 'nothing was sent ahead');
    t.ok(figures.fromSourceBytes > HEAP_MIB << 20);
    t.equal(figures.reconnects, 0);
    t.same(await move.pager.ended(), { state, figures }, 'its end is told again');
    t.equal(await b.sh('pgrep -l criu || true'), '', 'the daemon has ended');
    t.equal((await b.ask('/digest')).digest, digest);
    await move.end();
  });
});
