import { cpSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DumpMemory, type ProcessSum, type Workspace } from '../../../../migrator/engine/engine.ts';
import { assertNothingLeft, codeOf, inLab } from './fixtures/in-lab.ts';
import { app } from './fixtures/lab-engine.ts';

const HEAP_MIB = 32;
const PAGE_BYTES = 4096;
const containers = {
  app: app({
    env: { HEAP_MIB: String(HEAP_MIB) },
    command: ['sh', '-c', 'sleep 1000 & exec node /mnt/app.mjs'],
  }),
};

const sumsAlone = (sums: readonly ProcessSum[]) => sums.map(({ pid, sum }) => ({ pid, sum }));

await inLab(containers, ['a', 'b'], async ([a, b]) => {
  if (a === undefined || b === undefined) return;

  const dumpAndCopy = async (t: Test, name: string): Promise<{ source: Workspace; target: Workspace }> => {
    const [source, target] = [await a.workspace(name), await b.workspace(name)];
    await a.call('freeze', 'app');
    await a.call('dump', 'app', source, DumpMemory.inImages);
    cpSync(join(a.host.rootDir, source.imagesDir), join(b.host.rootDir, target.imagesDir), {
      recursive: true,
    });
    await b.call('prepare', 'app', target);
    t.teardown(() => a.call('thaw', 'app'));
    return { source, target };
  };

  await a.call('start', 'app');
  for (let count = 0; count < 3; count += 1) await a.ask('/count');

  await t.test('what runs is not summed', async (t) => {
    t.equal(await codeOf(a.call('sumMemory', 'app', await a.workspace('runs'))), 'CONTAINER_NOT_FROZEN');
  });

  await t.test('what is restored frozen has the same sums, has not run, and goes on when told', async (t) => {
    const { source, target } = await dumpAndCopy(t, 'same');
    const dumped = await a.call('sumMemory', 'app', source);
    t.equal(dumped.length, 2, 'the app and its child');
    t.ok((dumped[0]?.sizeBytes ?? 0) > HEAP_MIB << 20);

    await b.call('restoreFrozen', 'app', target, DumpMemory.inImages);
    t.equal((await b.call('status', 'app')).state, 'frozen');
    const restored = await b.call('sumMemory', 'app', target);
    t.same(sumsAlone(restored), sumsAlone(dumped));
    for (const { pid } of dumped) {
      const ranges = await a.call('sumRanges', 'app', source, pid);
      t.same(await b.call('sumRanges', 'app', target, pid), ranges, `process ${pid}, range by range`);
    }

    await b.call('resume', 'app');
    t.equal((await b.call('status', 'app')).state, 'running');
    t.match(await b.ask('/count'), { count: 4, blocks: HEAP_MIB });
    await b.call('remove', 'app');
    await assertNothingLeft(t, b, 'app');
  });

  await t.test('a page that came over damaged is told by its range', async (t) => {
    const { source, target } = await dumpAndCopy(t, 'damaged');
    const dir = join(b.host.rootDir, target.imagesDir);
    const pages = readdirSync(dir).filter((name) => /^pages-\d+\.img$/.test(name));
    for (const name of pages) {
      const file = await open(join(dir, name), 'r+');
      const { size } = await file.stat();
      // In the middle of the largest there is, the app's heap.
      if (size > HEAP_MIB << 20) await file.write('damaged', size / 2 - ((size / 2) % PAGE_BYTES));
      await file.close();
    }
    await b.call('restoreFrozen', 'app', target, DumpMemory.inImages);
    const dumped = await a.call('sumMemory', 'app', source);
    const restored = await b.call('sumMemory', 'app', target);
    const differing = dumped.filter(({ pid, sum }) => restored.find((one) => one.pid === pid)?.sum !== sum);
    t.equal(differing.length, 1, 'one process');
    const pid = differing[0]?.pid ?? 0;
    const there = new Map(
      (await b.call('sumRanges', 'app', target, pid)).map(({ start, sum }) => [start, sum]),
    );
    const ranges = await a.call('sumRanges', 'app', source, pid);
    t.equal(ranges.filter(({ start, sum }) => there.get(start) !== sum).length, 1, 'one range');
    await b.call('remove', 'app');
    await assertNothingLeft(t, b, 'app');
  });
});
