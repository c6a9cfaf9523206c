import { cpSync, truncateSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { DumpMemory, type Workspace } from '../../../../migrator/engine/engine.ts';
import { vforkThen } from '../oci/vfork.ts';
import { assertNothingLeft, codeOf, inLab } from './fixtures/in-lab.ts';
import { app, type LabEngine } from './fixtures/lab-engine.ts';

const HEAP_MIB = 32;
/** Comes before the real CRIU on the agent's PATH. */
const WRAPPED = '/usr/local/sbin/criu';
/** Long enough for any machine to have started CRIU. */
const DUMP_MS = 2_000;

const vforkFor = (seconds: number) => `perl -e '${vforkThen(`select(undef, undef, undef, ${seconds})`)}'`;

function copyImages(from: LabEngine, to: LabEngine, source: Workspace, target: Workspace): void {
  cpSync(join(from.host.rootDir, source.imagesDir), join(to.host.rootDir, target.imagesDir), {
    recursive: true,
  });
}

async function cgroupState(engine: LabEngine): Promise<string> {
  return engine.sh(
    'cat /sys/fs/cgroup/freezer/holdfast-*-app/freezer.state /sys/fs/cgroup/holdfast-*-app/cgroup.freeze 2>/dev/null || true',
  );
}

const containers = {
  app: app({ env: { HEAP_MIB: String(HEAP_MIB) } }),
  family: app({
    port: 8081,
    env: { PORT: '8081' },
    command: ['sh', '-c', 'node /mnt/app.mjs & wait'],
    memoryLimitBytes: 512 << 20,
  }),
  spawning: app({
    port: 8082,
    env: { PORT: '8082' },
    command: ['sh', '-c', `(while :; do ${vforkFor(0.05)}; sleep 0.1; done) & exec node /mnt/app.mjs`],
  }),
  stuck: app({
    port: 8083,
    env: { PORT: '8083' },
    command: ['sh', '-c', `(while :; do ${vforkFor(60)}; done) & exec node /mnt/app.mjs`],
  }),
};

await inLab(containers, ['a', 'b'], async ([a, b]) => {
  if (a === undefined || b === undefined) return;

  await t.test('a container that was frozen and dumped goes on as if nothing had been', async (t) => {
    await a.call('start', 'app');
    for (let count = 0; count < 3; count += 1) await a.ask('/count');
    const pids = await a.sh('cat /sys/fs/cgroup/*/holdfast-*-app/cgroup.procs | sort -u');
    const workspace = await a.workspace('thawed');
    const client = connect(8080, a.host.address);
    await new Promise((resolve) => client.once('connect', resolve));

    await a.call('freeze', 'app');
    await a.call('freeze', 'app');
    t.equal((await a.call('status', 'app')).state, 'frozen');
    await a.call('dump', 'app', workspace, DumpMemory.inImages);
    t.equal((await a.call('status', 'app')).state, 'frozen', 'it is frozen after the dump');
    t.match(await cgroupState(a), /FROZEN|1/);
    t.equal(
      await a.sh('(iptables-save; nft list ruleset) 2>/dev/null || true'),
      '',
      'CRIU made no packet filter rules',
    );

    await a.call('thaw', 'app');
    await a.call('thaw', 'app');
    t.same(
      await a.sh('cat /sys/fs/cgroup/*/holdfast-*-app/cgroup.procs | sort -u'),
      pids,
      'the same process',
    );
    const answered = new Promise<string>((resolve) =>
      client.once('data', (data) => resolve(data.toString())),
    );
    client.write('GET /count HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n');
    t.match(await answered, '"count":4', 'an open connection goes on too');
    client.destroy();
  });

  await t.test('one that starts programs by vfork is frozen in a moment between two', async (t) => {
    await a.call('start', 'spawning');
    for (let nth = 1; nth <= 3; nth += 1) {
      const workspace = await a.workspace(`spawning-${nth}`);
      await a.call('freeze', 'spawning');
      await a.call('dump', 'spawning', workspace, DumpMemory.inImages);
      await a.call('thaw', 'spawning');
      t.equal((await a.call('status', 'spawning')).state, 'running');
    }
    await a.call('remove', 'spawning');
  });

  await t.test('one whose vfork does not come to its end runs on', async (t) => {
    await a.call('start', 'stuck');
    t.equal(await codeOf(a.call('freeze', 'stuck')), 'FORK_PENDING');
    t.equal((await a.call('status', 'stuck')).state, 'running');
    await a.call('remove', 'stuck');
  });

  await t.test('no code of the app runs from the freeze to the thaw', async (t) => {
    // Frozen for half a second, dump and all: 100 beats of 5 ms, had it run. Told by the app itself after the thaw.
    const workspace = await a.workspace('silent');
    const before = (await a.ask('/')).beats;
    await a.call('freeze', 'app');
    const frozenFrom = performance.now();
    await a.call('dump', 'app', workspace, DumpMemory.inImages);
    while (performance.now() - frozenFrom < 500) await new Promise((resolve) => setImmediate(resolve));
    await a.call('thaw', 'app');
    const after = (await a.ask('/')).beats;
    t.ok(after - before < 50, `${after - before} beats`);
  });

  await t.test('a dump that finds no room fails by name, and the app goes on unharmed', async (t) => {
    const workspace = await a.workspace('full');
    await a.sh(`mount -t tmpfs -o size=4m tmpfs ${workspace.imagesDir}`);
    await a.call('freeze', 'app');
    t.equal(await codeOf(a.call('dump', 'app', workspace, DumpMemory.inImages)), 'IMAGES_DISK_FULL');
    t.equal((await a.call('status', 'app')).state, 'frozen', 'it is frozen after the failure');
    await a.call('thaw', 'app');
    const { count, blocks } = await a.ask('/count');
    t.same({ count, blocks }, { count: 5, blocks: HEAP_MIB });
    await a.sh(`umount ${workspace.imagesDir}`);
  });

  await t.test('a running container is not dumped', async (t) => {
    t.equal(
      await codeOf(a.call('dump', 'app', await a.workspace('running'), DumpMemory.inImages)),
      'CONTAINER_NOT_FROZEN',
    );
  });

  await t.test('a dump outlives its deadline, and thaw waits for its end', async (t) => {
    const workspace = await a.workspace('late');
    const [began, mayEnd] = [`${workspace.workDir}/began`, `${workspace.workDir}/may-end`];
    const late = `[ "$1" != dump ] || { touch ${began}; until [ -e ${mayEnd} ]; do sleep 0.01; done; }`;
    await a.sh(
      `printf '#!/bin/sh\\n%s\\nexec /usr/sbin/criu "$@"\\n' '${late}' >${WRAPPED}; chmod 755 ${WRAPPED}`,
    );
    await a.call('freeze', 'app');
    t.equal(await codeOf(a.callWithin(DUMP_MS, 'dump', 'app', workspace, DumpMemory.inImages)), 'DEADLINE');
    await a.sh(`test -e ${began}; rm ${WRAPPED}`);
    const thawed = a.call('thaw', 'app');
    await a.sh(`touch ${mayEnd}`);
    await thawed;
    t.match(await a.sh(`tail -1 ${workspace.workDir}/dump.log`), /Dumping finished successfully/);
    t.equal((await a.ask('/count')).count, 6);
  });

  await t.test('a failed restore leaves nothing, and the next one has all the state', async (t) => {
    const source = await a.workspace('moved');
    const target = await b.workspace('moved');
    await b.call('prepare', 'app', target);
    await a.call('freeze', 'app');
    await a.call('dump', 'app', source, DumpMemory.inImages);
    copyImages(a, b, source, target);
    for (const image of ['core-1.img', 'pages-1.img']) {
      const damaged = await b.workspace(`damaged-${image}`);
      copyImages(a, b, source, damaged);
      truncateSync(join(b.host.rootDir, damaged.imagesDir, image), image === 'core-1.img' ? 40 : 4 << 20);
      t.equal(
        await codeOf(b.call('restore', 'app', damaged, DumpMemory.inImages)),
        'RESTORE_FAILED',
        `${image} is too short`,
      );
      await assertNothingLeft(t, b, 'app');
    }

    await b.call('restore', 'app', target, DumpMemory.inImages);
    await b.call('healthy', 'app');
    const { pid, count, blocks } = await b.ask('/count');
    t.same({ pid, count, blocks }, { pid: 1, count: 7, blocks: HEAP_MIB });
    t.equal((await b.call('status', 'app')).state, 'running');
    t.equal(await codeOf(b.call('restore', 'app', target, DumpMemory.inImages)), 'CONTAINER_EXISTS');
    await a.call('remove', 'app');
    await assertNothingLeft(t, a, 'app');
  });

  await t.test('what was moved can be moved back', async (t) => {
    const source = await b.workspace('back');
    const target = await a.workspace('back');
    await a.call('prepare', 'app', target);
    await b.call('freeze', 'app');
    await b.call('dump', 'app', source, DumpMemory.inImages);
    copyImages(b, a, source, target);
    await a.call('restore', 'app', target, DumpMemory.inImages);
    await b.call('remove', 'app');
    await a.call('healthy', 'app');
    t.equal((await a.ask('/count')).count, 8);
    await assertNothingLeft(t, b, 'app');
  });

  await t.test('a restore that is cut short leaves nothing', async (t) => {
    const source = await a.workspace('cut');
    const target = await b.workspace('cut');
    await a.call('freeze', 'app');
    await a.call('dump', 'app', source, DumpMemory.inImages);
    await a.call('thaw', 'app');
    copyImages(a, b, source, target);
    for (const timeoutMs of [10, 30, 50, 70]) {
      const code = await codeOf(b.callWithin(timeoutMs, 'restore', 'app', target, DumpMemory.inImages));
      if (code === 'NO_ERROR') await b.call('remove', 'app');
      else t.equal(code, 'DEADLINE');
      await assertNothingLeft(t, b, 'app');
    }
  });

  await t.test('connections in whatever state fail neither dump nor restore', async (t) => {
    const source = await a.workspace('connected');
    const target = await b.workspace('connected');
    const dial = async () => {
      const client = connect(8080, a.host.address).on('error', () => {});
      await new Promise((resolve) => client.once('connect', resolve));
      return client;
    };
    const clients = [await dial(), await dial(), await dial()];
    const [, closing, asking] = clients;
    await a.call('freeze', 'app');
    closing?.end();
    asking?.write('GET /count HTTP/1.1\r\nHost: app\r\n\r\n');
    clients.push(await dial()); // The kernel takes it; the app has never seen it.
    const states = await a.sh("grep -E ':1F90 ' /proc/net/tcp6 | awk '{print $4}' | sort -u");
    t.match(states, /01[\s\S]*08/, 'established, waiting to close, and not accepted yet');
    await a.call('dump', 'app', source, DumpMemory.inImages);
    copyImages(a, b, source, target);
    await b.call('restore', 'app', target, DumpMemory.inImages);
    await b.call('healthy', 'app');
    const { count, blocks } = await b.ask('/count');
    t.equal(blocks, HEAP_MIB);
    await b.call('remove', 'app');
    await assertNothingLeft(t, b, 'app');
    await a.call('thaw', 'app');
    t.equal(
      (await a.ask('/')).count,
      count,
      'the request that had come in at the freeze was answered at the source',
    );
    for (const client of clients) client.destroy();
  });

  await t.test('what a container is held to holds after the move too', async (t) => {
    const source = await a.workspace('family');
    const target = await b.workspace('family');
    const bounds = async (engine: LabEngine) =>
      engine.sh(`
        pid=$(cat /sys/fs/cgroup/*/holdfast-*-family/cgroup.procs | sort -n | tail -1)
        grep -E '^(Uid|Gid|Cap|NoNewPrivs|Seccomp:|NSpid)' /proc/$pid/status | sed 's/^NSpid:.*\\s/NSpid: /'
        cat /sys/fs/cgroup/memory/holdfast-*-family/memory.limit_in_bytes /sys/fs/cgroup/holdfast-*-family/memory.max 2>/dev/null
        grep '^Max open files' /proc/$pid/limits`);
    await a.call('start', 'family');
    t.equal((await a.call('examine', 'family')).footprint.processes, 2);
    const before = await bounds(a);
    t.match(before, /CapEff:\s+0+a80425fb\n[\s\S]*NoNewPrivs:\s+1\nSeccomp:\s+2/);
    await b.call('prepare', 'family', target);
    await a.call('freeze', 'family');
    await a.call('dump', 'family', source, DumpMemory.inImages);
    copyImages(a, b, source, target);
    await b.call('restore', 'family', target, DumpMemory.inImages);
    await b.call('healthy', 'family');
    t.equal(await bounds(b), before);
    await a.call('remove', 'family');
    await b.call('remove', 'family');
    await assertNothingLeft(t, a, 'family');
    await assertNothingLeft(t, b, 'family');
  });

  await t.test('the next agent finds a dump that its predecessor left behind', async (t) => {
    const workspace = await a.workspace('orphan');
    await a.call('freeze', 'app');
    // A container's memory of 32 MiB is written in some 50 ms: the agent is gone by then.
    const dumped = codeOf(a.call('dump', 'app', workspace, DumpMemory.inImages));
    await a.sh('while ! pgrep -x criu >/dev/null; do :; done');
    const successor = await a.succeed();
    t.equal(await dumped, 'AGENT_GONE');
    await successor.call('thaw', 'app');
    t.match(await a.sh(`tail -1 ${workspace.workDir}/dump.log`), /Dumping finished successfully/);
    t.equal((await successor.ask('/count')).count, 10);
    await successor.call('remove', 'app');
    await assertNothingLeft(t, successor, 'app');
    await successor.kill();
  });

  await t.test('the next agent removes what its predecessor was restoring', async (t) => {
    // The images of an earlier test: the app they hold runs nowhere any more.
    const target = await b.workspace('connected');
    const restored = codeOf(b.call('restore', 'app', target, DumpMemory.inImages));
    await b.sh('while ! pgrep -x criu >/dev/null; do :; done; sleep 0.02');
    const successor = await b.succeed();
    t.equal(await restored, 'AGENT_GONE');
    await successor.call('remove', 'app');
    await assertNothingLeft(t, successor, 'app');
    await successor.call('restore', 'app', target, DumpMemory.inImages);
    await successor.call('healthy', 'app');
    await successor.call('remove', 'app');
    await assertNothingLeft(t, successor, 'app');
    await successor.kill();
  });
});
