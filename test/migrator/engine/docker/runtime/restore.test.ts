import { truncateSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { forgetAnnouncement } from '../../../../../migrator/engine/docker/runtime/announcement.ts';
import { AtStart } from '../../../../../migrator/engine/docker/runtime/wrapper.ts';
import { answering, createDockerLab, runApp } from '../../../../lab/docker.ts';
import { whyNoLab } from '../../../../lab/needs-lab.ts';
import {
  announcedDir,
  checkpoint,
  copyCheckpoint,
  dump,
  gateway,
  IMAGES_DIR,
  isStopped,
  NAME,
  restore,
  sh,
  standBy,
  stateOf,
  traces,
} from './by-hand.ts';

const skip = await whyNoLab();
const signal = AbortSignal.timeout(175_000);

t.test('the runtime in Docker', { skip }, async (t) => {
  const lab = await createDockerLab({ signal });
  t.teardown(() => lab.down());
  const [a, b] = [lab.on('a'), lab.on('b')];
  await Promise.all([a, b].map((docker) => gateway(docker, 'agent', 'install')));
  const healthy = () => answering(`http://${b.host.address}:8080/health`, signal);

  t.test('a container that nobody announced is one as all others', async (t) => {
    await runApp(b, { more: ['--runtime', 'holdfast'] });
    await b.docker('restart', '-t', '1', NAME);
    await healthy();
    t.notMatch(await traces(b), /holdfast$/);
    await b.docker('rm', '-f', NAME);
    t.same(await traces(b), []);
  });

  t.test('a container is restored with its memory, behind its published port', async (t) => {
    const before = await checkpoint(a);
    t.same(await traces(a), []);
    const awaited = await standBy(b, a);
    copyCheckpoint(a, b);
    await restore(awaited);
    t.equal(await awaited.started, null);
    await healthy();
    t.same(await stateOf(b), before);
    t.equal(before.users, 1);
    t.match(await b.docker('exec', NAME, 'cat', '/proc/1/cmdline'), 'server.mjs', 'docker exec enters it');
    const sysctl = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
    t.equal(
      await b.docker('exec', NAME, 'cat', sysctl),
      '0',
      'its network has the settings that Docker gives',
    );
    t.equal(await sh(b.host, `ls ${'/run/holdfast/docker'}`), '', 'the announcement is gone');
  });

  t.test('a restored container is moved on', async (t) => {
    const before = await stateOf(b);
    await dump(b);
    const awaited = await standBy(a, b);
    copyCheckpoint(b, a);
    await restore(awaited);
    t.equal(await awaited.started, null);
    await answering(`http://${a.host.address}:8080/health`, signal);
    t.same(await stateOf(a), before);
    await dump(a);
  });

  t.test('its processes stay stopped where that is wished', async (t) => {
    const awaited = await standBy(b, a);
    copyCheckpoint(a, b);
    await restore(awaited, AtStart.stay);
    t.equal(await awaited.started, null);
    t.ok(await isStopped(b));
    await b.docker('rm', '-f', NAME);
    t.same(await traces(b), []);
  });

  t.test('a move that is called off fails the start, and nothing starts the container afresh', async (t) => {
    const { id, announcement, started } = await standBy(b, a);
    await announcement.callOff();
    t.match(await started, 'its move to this host was called off');
    await t.rejects(b.docker('start', NAME), { message: /its move to this host is over/ });
    await t.rejects(announcement.restore({ criuOptions: [], atStart: AtStart.resume }), {
      code: 'RESTORE_NOT_AWAITED',
    });
    await b.docker('rm', NAME);
    await forgetAnnouncement(id, announcedDir(b));
    t.same(await traces(b), []);
  });

  t.test('a restore that fails leaves nothing behind', async (t) => {
    const awaited = await standBy(b, a);
    copyCheckpoint(a, b);
    truncateSync(path.join(b.host.rootDir, IMAGES_DIR, 'mm-1.img'), 100);
    await restore(awaited);
    // Whichever Docker comes to know of first.
    t.match(await awaited.started, /criu failed|cannot start a stopped process/);
    await b.docker('rm', NAME);
    await forgetAnnouncement(awaited.id, announcedDir(b));
    t.same(await traces(b), []);
  });

  t.test('a restore that is killed leaves nothing behind', async (t) => {
    const awaited = await standBy(b, a);
    copyCheckpoint(a, b);
    await restore(awaited);
    await sh(b.host, 'pkill -9 -f "^runc .* restore "');
    t.type(await awaited.started, 'string', 'docker start fails');
    await b.docker('rm', NAME);
    await forgetAnnouncement(awaited.id, announcedDir(b));
    // Of its cgroup only the agent knows by then.
    await sh(b.host, `find /sys/fs/cgroup -depth -path '*/docker/${awaited.id}*' -type d -exec rmdir {} +`);
    t.same(await traces(b), []);
  });

  t.test('nothing of a container has run when Docker cannot make its network', async (t) => {
    const awaited = await standBy(b, a);
    const other = b.host.spawn('socat', ['TCP-LISTEN:8080,fork', '/dev/null'], { stdio: 'ignore' });
    await sh(b.host, 'until socat -u /dev/null TCP:127.0.0.1:8080 2>/dev/null; do sleep 0.05; done');
    copyCheckpoint(a, b);
    await restore(awaited);
    t.match(await awaited.started, /address already in use|port is already allocated/);
    other.kill();
    await b.docker('rm', NAME);
    await forgetAnnouncement(awaited.id, announcedDir(b));
    t.same(await traces(b), []);
  });
});
