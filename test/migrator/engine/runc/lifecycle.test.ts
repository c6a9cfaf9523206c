import { once } from 'node:events';
import t from 'tap';
import { assertNothingLeft, codeOf, inLab } from './fixtures/in-lab.ts';
import { app } from './fixtures/lab-engine.ts';

const containers = {
  app: app(),
  sick: app({ port: 8081, env: { PORT: '8081' }, health: { path: '/sick', intervalMs: 10, timeoutMs: 500 } }),
  ends: app({ port: 8082, command: ['node', '-e', 'process.exit(3)'] }),
  homeless: app({ port: 8083, rootfs: '/srv/nowhere' }),
};

await inLab(containers, ['a'], async ([a]) => {
  if (a === undefined) return;

  await t.test('a container starts, answers, and is gone when removed', async (t) => {
    await a.call('start', 'app');
    t.same(await a.call('status', 'app'), { name: 'app', engine: 'runc', state: 'running', port: 8080 });
    t.equal((await a.ask('/count')).pid, 1, 'it has a pid namespace of its own');
    t.equal(await codeOf(a.call('start', 'app')), 'CONTAINER_EXISTS');
    t.equal((await a.ask('/count')).count, 2, 'the second start changed nothing');
    await a.call('remove', 'app');
    await assertNothingLeft(t, a, 'app');
    await a.call('remove', 'app');
  });

  await t.test(
    'a container that does not come to health is removed, with its last answer told',
    async (t) => {
      await t.rejects(a.callWithin(1_500, 'start', 'sick'), {
        code: 'HEALTH_CHECK_FAILED',
        message: /answered 500/,
      });
      await assertNothingLeft(t, a, 'sick');
    },
  );

  await t.test('a container whose process ends is not waited for', async (t) => {
    await t.rejects(a.call('start', 'ends'), { message: /ended|not started|is stopped/ });
    await assertNothingLeft(t, a, 'ends');
  });

  await t.test('what cannot start is refused by name', async (t) => {
    t.equal(await codeOf(a.call('start', 'homeless')), 'ROOTFS_MISSING');
    t.equal(await codeOf(a.call('start', 'nobody')), 'CONTAINER_UNKNOWN');
    t.equal(await codeOf(a.call('freeze', 'app')), 'CONTAINER_NOT_RUNNING');
    const listener = await a.listen(8080);
    t.equal(await codeOf(a.call('start', 'app')), 'PORT_TAKEN');
    const gone = once(listener, 'exit');
    listener.kill('SIGKILL');
    await gone; // Or the next to start finds the port taken.
  });

  await t.test('removing a frozen container leaves nothing and lets nothing run', async (t) => {
    await a.call('start', 'app');
    await a.call('freeze', 'app');
    await a.call('remove', 'app');
    await assertNothingLeft(t, a, 'app');
  });

  await t.test(
    'a container whose process was killed is told as stopped and can be started again',
    async (t) => {
      await a.call('start', 'app');
      await a.sh(`kill -9 $(cat /sys/fs/cgroup/*/holdfast-*-app/cgroup.procs | sort -u)`);
      await a.sh('while pgrep -f ^node./mnt/app >/dev/null; do sleep 0.01; done');
      t.equal((await a.call('status', 'app')).state, 'stopped');
      await a.call('start', 'app');
      t.equal((await a.ask('/count')).count, 1);
      await a.call('remove', 'app');
      await assertNothingLeft(t, a, 'app');
    },
  );
});
