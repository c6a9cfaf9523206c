import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { PageFlag, parsePagemap, writePagemap } from '../../../migrator/criu/pagemap.ts';
import { DumpMemory, type ProcessSum, type Workspace } from '../../../migrator/engine/engine.ts';
import { HASH_BYTES, writeHash } from '../../../migrator/memory/page-hash.ts';
import { hashesFile } from '../../../migrator/memory/parent.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { codeOf, inLab } from '../engine/runc/fixtures/in-lab.ts';
import { app, type LabEngine } from '../engine/runc/fixtures/lab-engine.ts';
import {
  giveCertificates,
  moveLazily,
  PagerDriver,
  SOURCES,
  startAtSource,
  startSource,
} from './fixtures/lazy-scene.ts';

const HEAP_MIB = 48;
const PORTS = [8081, 8082, 8083];
const containers = {
  app: app({ env: { HEAP_MIB: String(HEAP_MIB) } }),
  family: app({
    port: PORTS[0],
    env: { PORT: String(PORTS[0]), HEAP_MIB: '8' },
    command: ['sh', '-c', `for port in ${PORTS.join(' ')}; do PORT=$port node /mnt/app.mjs & done; wait`],
  }),
  forking: app({
    command: ['perl', '/mnt/forking.pl'],
    mounts: [{ source: SOURCES, destination: '/mnt', readOnly: true }],
  }),
};

await inLab(containers, ['a', 'b'], async ([a, b]) => {
  if (a === undefined || b === undefined) return;
  await giveCertificates([a, b]);
  const source = await startAtSource(a, HEAP_MIB);
  const { digest } = source;

  await t.test('a container runs on while its memory follows, and all of it is what it was', async (t) => {
    const { pager, back } = await moveLazily([a, b], 'whole', 'app');
    t.match(await b.ask('/count'), { count: 1, blocks: HEAP_MIB });
    const { state, figures } = await pager.ended();
    t.equal(state, 'complete');
    t.equal(figures.remainingBytes, 0);
    t.equal(figures.fromStoreBytes, 0, 'nothing was sent ahead');
    t.ok(figures.fromSourceBytes > HEAP_MIB << 20);
    t.equal(figures.reconnects, 0);
    t.same(await pager.ended(), { state, figures }, 'its end is told again');
    t.equal(await b.sh('pgrep -l criu || true'), '', 'the daemon has ended');
    t.equal((await b.ask('/digest')).digest, digest);
    await back();
    await source.goesOn(t);
  });

  await t.test('what was sent ahead and still holds is not sent again', async (t) => {
    const ahead = await a.workspace('ahead');
    await a.call('freeze', 'app');
    await a.call('dump', 'app', ahead, DumpMemory.inImages);
    await a.call('thaw', 'app');
    await source.goesOn(t);
    const target = await b.workspace('hybrid');
    asParent(a, ahead, b, target);
    const { pager, back } = await moveLazily([a, b], 'hybrid', 'app');
    t.equal((await b.ask('/count')).count, source.count + 1, 'what has changed since is right too');
    const { state, figures } = await pager.ended();
    t.equal(state, 'complete');
    t.equal((await b.ask('/digest')).digest, digest);
    t.ok(figures.fromStoreBytes > HEAP_MIB << 20, `${figures.fromStoreBytes} bytes from the store`);
    t.ok(figures.fromSourceBytes < HEAP_MIB << 19, `${figures.fromSourceBytes} bytes from the source`);
    t.ok(figures.fromSourceBytes > 0);
    await back();
    await source.goesOn(t);
  });

  await t.test('where all of it was sent ahead and holds, nothing is asked of the source', async (t) => {
    await a.call('freeze', 'app');
    const ahead = await a.workspace('store-ahead');
    await a.call('dump', 'app', ahead, DumpMemory.inImages);
    const target = await b.workspace('store');
    const arrive = () => {
      asParent(a, ahead, b, target);
      markInStore(b, target);
    };
    const { pager, back } = await moveLazily([a, b], 'store', 'app', { arrive });
    t.equal((await b.ask('/count')).count, source.count + 1);
    const { state, figures } = await pager.ended();
    t.equal(state, 'complete');
    t.ok(figures.fromStoreBytes > HEAP_MIB << 20, `${figures.fromStoreBytes} bytes from the store`);
    t.equal(figures.fromSourceBytes, 0);
    t.equal(figures.remainingBytes, 0);
    t.equal((await b.ask('/digest')).digest, digest);
    t.equal(await b.sh('pgrep -l criu || true'), '', 'the daemon has ended');
    await back();
    await source.goesOn(t);
  });

  await t.test('all processes of a container get their memory', async (t) => {
    await a.call('start', 'family');
    // The first is healthy by then; the others come up beside it.
    for (const port of PORTS) while ((await codeOf(a.ask('/', port))) !== 'NO_ERROR') await sleep(20);
    const digests = (engine: LabEngine) =>
      Promise.all(PORTS.map(async (port) => (await engine.ask('/digest', port)).digest));
    const before = await digests(a);
    const { pager, back } = await moveLazily([a, b], 'family', 'family');
    t.equal((await pager.ended()).state, 'complete');
    t.same(await digests(b), before);
    await back();
  });

  await t.test('processes that stand still get all of their memory, and have not run', async (t) => {
    const {
      pager,
      source: dump,
      target,
      back,
    } = await moveLazily([a, b], 'still', 'family', { frozen: true });
    const { state, figures } = await pager.ended();
    t.equal(state, 'complete');
    t.equal(figures.remainingBytes, 0);
    const dumped = await a.call('sumMemory', 'family', dump);
    const restored = await b.call('sumMemory', 'family', target);
    t.equal(dumped.length, PORTS.length + 1, 'the apps and their parent');
    t.same(sumsAlone(restored), sumsAlone(dumped));
    await b.call('resume', 'family');
    for (const port of PORTS) t.match(await b.ask('/count', port), { count: 1 });
    await back();
    await a.call('remove', 'family');
  });

  await t.test(
    'memory reaches children that are forked meanwhile, and what is given up is not missed',
    async (t) => {
      await a.call('remove', 'app');
      await a.call('start', 'forking');
      const whole = await patiently(a, '/');
      const { pager, back } = await moveLazily([a, b], 'forking', 'forking');
      t.same(await patiently(b, '/'), whole);
      const dropped = await patiently(b, '/drop');
      t.match(dropped, { blocks: 6, digest: whole.digest.split('-').slice(0, 6).join('-') });
      t.equal((await pager.ended()).state, 'complete');
      t.same(await patiently(b, '/'), dropped);
      await back();
      t.same(await patiently(a, '/'), whole);
    },
  );

  await t.test('it is stopped before it serves', async (t) => {
    const target = await b.workspace('early');
    const pager = new PagerDriver(b);
    const answering = await startSource(a, 'app');
    await pager.start(a, target);
    t.equal((await pager.stop()).state, 'stopped');
    t.equal(await codeOf(pager.serve(target, 'app')), 'PAGER_FAILED');
    answering.kill('SIGKILL');
    await pager.kill();
  });

  await t.test('a source that cannot be reached is told before anything is frozen', async (t) => {
    const target = await b.workspace('nobody');
    const pager = new PagerDriver(b);
    t.equal(await codeOf(pager.start(a, target)), 'LINK_BROKEN');
    await pager.kill();
  });
});

/** What differs between hosts is how much of it are zeros that were never touched. */
function sumsAlone(sums: readonly ProcessSum[]): { pid: number; sum: string }[] {
  return sums.map(({ pid, sum }) => ({ pid, sum }));
}

/** Ask a process that meets one missing page after the other, on a machine that may have other things to do. */
async function patiently({ host }: LabEngine, path: string): Promise<{ blocks: number; digest: string }> {
  const response = await fetch(`http://${host.address}:8080${path}`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(60_000),
  });
  return (await response.json()) as { blocks: number; digest: string };
}

/** All that follows is in the parent. */
function markInStore({ host }: LabEngine, { imagesDir }: Workspace): void {
  const dir = join(host.rootDir, imagesDir);
  for (const file of readdirSync(dir).filter((name) => /^pagemap-\d+\.img$/.test(name))) {
    const { pagesId, runs } = parsePagemap(readFileSync(join(dir, file)));
    const { lazy, parent, present } = PageFlag;
    const marked = runs.map((run) =>
      (run.flags & (lazy | present)) === lazy ? { ...run, flags: lazy | parent } : run,
    );
    writeFileSync(join(dir, file), writePagemap({ pagesId, runs: marked }));
  }
}

/** Make the memory of a whole checkpoint what was sent ahead of another. */
function asParent(from: LabEngine, whole: Workspace, to: LabEngine, target: Workspace): void {
  const source = join(from.host.rootDir, whole.imagesDir);
  const parent = join(to.host.rootDir, target.imagesDir, 'parent');
  mkdirSync(parent);
  for (const file of readdirSync(source).filter((name) => /^(pages|pagemap)-\d+\.img$/.test(name))) {
    cpSync(join(source, file), join(parent, file));
    const pagesId = /^pages-(\d+)/.exec(file)?.[1];
    if (pagesId === undefined) continue;
    const pages = readFileSync(join(source, file));
    const hashes = Buffer.alloc((pages.length / PAGE_BYTES) * HASH_BYTES);
    for (let page = 0; page * PAGE_BYTES < pages.length; page++) {
      writeHash(pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES), hashes, page * HASH_BYTES);
    }
    writeFileSync(join(parent, hashesFile(Number(pagesId))), hashes);
  }
}
