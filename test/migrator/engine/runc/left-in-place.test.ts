import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PageFlag, parsePagemap } from '../../../../migrator/criu/pagemap.ts';
import { DumpMemory, type Workspace } from '../../../../migrator/engine/engine.ts';
import { assertNothingLeft, codeOf, inLab } from './fixtures/in-lab.ts';
import { app, type LabEngine } from './fixtures/lab-engine.ts';

const HEAP_MIB = 32;
const PAGE_BYTES = 4096;

const containers = { app: app({ env: { HEAP_MIB: String(HEAP_MIB) } }) };

/** What the images have of the app's memory, and what they say is still where it was. */
function memoryIn(engine: LabEngine, { imagesDir }: Workspace): { writtenBytes: number; lazyBytes: number } {
  const dir = join(engine.host.rootDir, imagesDir);
  const files = readdirSync(dir);
  const written = files.filter((file) => /^pages-.*\.img$/.test(file));
  const pagemaps = files.filter((file) => /^pagemap-\d+\.img$/.test(file));
  const lazy = pagemaps
    .flatMap((file) => parsePagemap(readFileSync(join(dir, file))).runs)
    .filter(({ flags }) => (flags & PageFlag.lazy) !== 0 && (flags & PageFlag.present) === 0);
  return {
    writtenBytes: written.reduce((sum, file) => sum + statSync(join(dir, file)).size, 0),
    lazyBytes: lazy.reduce((sum, run) => sum + run.pages * PAGE_BYTES, 0),
  };
}

/** What CRIU could have left in the app: a tracer, or its page server. */
async function assertLeftAlone(test: Test, engine: LabEngine): Promise<void> {
  const left = await engine.sh(`
    pgrep -l 'criu|runc'
    for pid in $(cat /sys/fs/cgroup/*/holdfast-*-app/cgroup.procs | sort -u); do
      grep -H TracerPid /proc/$pid/status | grep -v '0$'
    done
    ls /run/holdfast/bundles/app/operation.json 2>/dev/null
    true`);
  test.equal(left, '', 'no CRIU, no tracer, no record of an operation');
}

await inLab(containers, ['a'], async ([a]) => {
  if (a === undefined) return;
  await a.call('start', 'app');
  const { digest } = await a.ask('/digest');
  let count = 0;
  const goesOn = async (test: Test) => {
    await a.call('thaw', 'app');
    count += 1;
    test.match(await a.ask('/count'), { count, blocks: HEAP_MIB });
    test.equal((await a.ask('/digest')).digest, digest, 'its memory is what it was');
  };

  await t.test('a dump that leaves memory in place writes little, and the app goes on whole', async (t) => {
    const workspace = await a.workspace('in-place');
    await a.call('freeze', 'app');
    await a.call('dump', 'app', workspace, DumpMemory.leftInPlace);
    t.equal((await a.call('status', 'app')).state, 'frozen', 'it is frozen after the dump');
    const { writtenBytes, lazyBytes } = memoryIn(a, workspace);
    t.ok(lazyBytes > HEAP_MIB << 20, `${lazyBytes} bytes are where they were`);
    t.ok(writtenBytes < 8 << 20, `${writtenBytes} bytes are in the images`);
    await assertLeftAlone(t, a);
    await goesOn(t);
  });

  await t.test('it can be made again and again', async (t) => {
    await a.call('freeze', 'app');
    for (const name of ['first', 'second']) {
      await a.call('dump', 'app', await a.workspace(name), DumpMemory.leftInPlace);
    }
    await goesOn(t);
  });

  await t.test('a dump that finds no room fails by name, and the app goes on whole', async (t) => {
    const workspace = await a.workspace('full');
    await a.sh(`mount -t tmpfs -o size=100k tmpfs ${workspace.imagesDir}`);
    await a.call('freeze', 'app');
    t.equal(await codeOf(a.call('dump', 'app', workspace, DumpMemory.leftInPlace)), 'IMAGES_DISK_FULL');
    t.equal((await a.call('status', 'app')).state, 'frozen', 'it is frozen after the failure');
    await goesOn(t);
    await a.sh(`umount ${workspace.imagesDir}`);
  });

  await t.test('a dump that outlives its deadline is brought to its end by the thaw', async (t) => {
    const workspace = await a.workspace('late');
    await a.call('freeze', 'app');
    t.equal(await codeOf(a.callWithin(15, 'dump', 'app', workspace, DumpMemory.leftInPlace)), 'DEADLINE');
    await goesOn(t);
    t.match(await a.sh(`tail -1 ${workspace.workDir}/dump.log`), /Dumping finished successfully/);
    await assertLeftAlone(t, a);
  });

  await t.test('the next agent brings a dump to its end that its predecessor left behind', async (t) => {
    const workspace = await a.workspace('orphan');
    await a.call('freeze', 'app');
    const dumped = codeOf(a.call('dump', 'app', workspace, DumpMemory.leftInPlace));
    await a.sh('while ! pgrep -x criu >/dev/null; do :; done');
    const successor = await a.succeed();
    t.equal(await dumped, 'AGENT_GONE');
    await a.sh(`until grep -qs 'Starting lazy pages server' ${workspace.workDir}/dump.log; do :; done`);
    await successor.call('thaw', 'app');
    t.match(await a.sh(`tail -1 ${workspace.workDir}/dump.log`), /Dumping finished successfully/);
    t.equal((await successor.ask('/digest')).digest, digest, 'its memory is what it was');
    await successor.call('remove', 'app');
    await assertNothingLeft(t, successor, 'app');
    await successor.kill();
  });
});
