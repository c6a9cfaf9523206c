import t, { type Test } from 'tap';
import type { Finding } from '../../../../migrator/engine/engine.ts';
import { codeOf, inLab } from './fixtures/in-lab.ts';
import { app, type LabEngine } from './fixtures/lab-engine.ts';
import { OLD_CRIU_DIR, oldCriu } from './fixtures/old-criu.ts';

const BUNDLE = '/run/holdfast/bundles/app';
const BY_HAND = '/run/by-hand';
const RUNC = 'runc --root /run/holdfast/runc';

const containers = {
  app: app({ port: 8080 }),
  ring: app({ port: 8081, env: { PORT: '8081', UV_USE_IO_URING: '1' }, seccomp: 'unconfined' }),
  caller: app({ port: 8082, env: { PORT: '8082', CONNECT_TO: '127.0.0.1:9000' } }),
  user: app({ port: 8084, env: { PORT: '8084' }, user: '1000:1000' }),
  careless: app({ port: 8083, env: { PORT: '8083', CONNECT_TO: '127.0.0.1:9000' }, connections: 'close' }),
};

const codes = (findings: readonly Finding[]) => findings.map(({ code }) => code);

/** Examine, and show that the app neither stopped nor changed. */
async function examineUnnoticed(t: Test, engine: LabEngine, name: string, port: number): Promise<Finding[]> {
  const before = await engine.ask('/count', port);
  const { findings } = await engine.call('examine', name);
  const after = await engine.ask('/count', port);
  t.equal(after.count, before.count + 1, 'the app never noticed');
  t.ok(findings.every(({ message, mend }) => message !== '' && mend !== ''));
  return findings;
}

/** A bundle as the engine makes it, changed by hand before it is run by hand. */
async function bundle(engine: LabEngine, change: string): Promise<void> {
  await engine.call('start', 'app');
  await engine.sh(`rm -rf ${BY_HAND}; cp -a ${BUNDLE} ${BY_HAND}`);
  await engine.call('remove', 'app');
  await engine.sh(`cd ${BY_HAND} && ${change}`);
}

await inLab(containers, ['a'], async ([a]) => {
  if (a === undefined) return;
  const listener = await a.listen(9000);

  await t.test('a container in order has nothing against it', async (t) => {
    await a.call('start', 'app');
    t.same(await examineUnnoticed(t, a, 'app', 8080), []);
    const { footprint } = await a.call('examine', 'app');
    t.match(footprint, { engine: 'runc', port: 8080, processes: 1 });
    t.ok(
      footprint.memoryBytes > 16 << 20 && footprint.memoryBytes < 256 << 20,
      `${footprint.memoryBytes} bytes`,
    );
    t.equal(footprint.evidence.arch, process.arch);
    await a.call('freeze', 'app');
    t.same(codes((await a.call('examine', 'app')).findings), ['CONTAINER_NOT_RUNNING']);
    await a.call('thaw', 'app');
  });

  await t.test('what a checkpoint would leave on tmpfs counts as memory', async (t) => {
    const before = (await a.call('examine', 'app')).footprint.memoryBytes;
    await a.sh('head -c 33554432 /dev/zero > /proc/$(pgrep -f ^node./mnt/app)/root/tmp/file');
    const { memoryBytes } = (await a.call('examine', 'app')).footprint;
    t.ok(memoryBytes - before > 30 << 20, `${memoryBytes - before} bytes more`);
  });

  await t.test("an agent that may not read another user's limits is found", async (t) => {
    const capable = await a.sh('setpriv --dump | grep -q "bounding set:.*sys_resource" && echo yes || true');
    await a.call('start', 'user');
    t.same(
      codes(await examineUnnoticed(t, a, 'user', 8084)),
      capable === 'yes' ? [] : ['CAPABILITY_MISSING'],
    );
    await a.call('remove', 'user');
  });

  await t.test('a traced process is found', async (t) => {
    const seize = process.arch === 'arm64' ? 117 : 101;
    const tracer = await a.spawnReady('sh', [
      '-c',
      `exec perl -e '$| = 1; syscall(${seize}, 0x4206, $ARGV[0] + 0, 0, 0) == 0 or die $!; print 1; sleep 60' $(pgrep -f ^node./mnt/app)`,
    ]);
    t.same(codes(await examineUnnoticed(t, a, 'app', 8080)), ['PTRACED']);
    tracer.kill('SIGKILL');
    await a.call('remove', 'app');
  });

  await t.test('a process that a signal has stopped is found', async (t) => {
    await a.call('start', 'app');
    const stop =
      'pkill -STOP -f ^node./mnt/app; until grep -q "^State:.T" /proc/$(pgrep -f ^node./mnt/app)/status; do :; done';
    await a.sh(stop);
    t.same(codes((await a.call('examine', 'app')).findings), ['PROCESS_STOPPED']);
    await a.call('remove', 'app');
  });

  await t.test('an absent container is found to be so', async (t) => {
    t.same(codes((await a.call('examine', 'app')).findings), ['CONTAINER_NOT_RUNNING']);
    t.equal(await codeOf(a.call('examine', 'nobody')), 'CONTAINER_UNKNOWN');
  });

  await t.test('io_uring is found, and refused to begin with by the default seccomp profile', async (t) => {
    await a.call('start', 'ring');
    t.same(codes(await examineUnnoticed(t, a, 'ring', 8081)), ['IO_URING_OPEN']);
    await a.call('remove', 'ring');
  });

  await t.test('connections that cannot follow are found, unless the app may lose them', async (t) => {
    await a.call('start', 'caller');
    await a.call('start', 'careless');
    const findings = await examineUnnoticed(t, a, 'caller', 8082);
    t.same(codes(findings), ['OPEN_CONNECTIONS']);
    t.match(findings[0]?.message, '127.0.0.1:9000');
    t.same(await examineUnnoticed(t, a, 'careless', 8083), []);
    await a.call('remove', 'caller');
    await a.call('remove', 'careless');
  });

  await t.test('standard output on a file of the host is found', async (t) => {
    await bundle(a, `${RUNC} run --detach app </dev/null >/run/out 2>&1`);
    await a.call('healthy', 'app');
    t.same(codes(await examineUnnoticed(t, a, 'app', 8080)), ['STDIO_ON_HOST_FILE']);
    await a.call('remove', 'app');
  });

  await t.test('a terminal is found', async (t) => {
    await bundle(a, `sed -i 's/"terminal": false/"terminal": true/' config.json`);
    const terminal = a.host.spawn('script', ['-qec', `${RUNC} run --bundle ${BY_HAND} app`, '/dev/null']);
    await a.sh(`while ! ${RUNC} state app >/dev/null 2>&1; do sleep 0.02; done`);
    await a.call('healthy', 'app');
    t.same(codes(await examineUnnoticed(t, a, 'app', 8080)), ['TERMINAL_ATTACHED']);
    await a.call('remove', 'app');
    terminal.kill('SIGKILL');
  });

  await t.test('a CRIU that does not know the kernel is found', async (t) => {
    const old = await oldCriu(a);
    if (typeof old === 'string') {
      t.pass('no old CRIU here', { skip: old });
      return;
    }
    const successor = await a.succeed({ PATH: `${OLD_CRIU_DIR}:/usr/sbin:/usr/bin:/sbin:/bin` });
    await successor.call('start', 'app');
    const findings = await examineUnnoticed(t, successor, 'app', 8080);
    t.same(codes(findings), ['CRIU_TOO_OLD']);
    t.match(findings[0]?.message, /CRIU 3\.17\.1 cannot checkpoint on Linux/);
    const { footprint } = await successor.call('examine', 'app');
    await successor.call('remove', 'app');
    t.same(codes(await successor.call('admit', 'app', footprint, '/run/images')), ['CRIU_TOO_OLD']);
    await successor.kill();
  });
  listener.kill('SIGKILL');
});
