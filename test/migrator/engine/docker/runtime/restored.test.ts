import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { DEFAULT_DAEMON_JSON } from '../../../../../migrator/engine/docker/runtime/install.ts';
import { answering, createDockerLab } from '../../../../lab/docker.ts';
import { whyNoLab } from '../../../../lab/needs-lab.ts';
import {
  checkpoint,
  copyCheckpoint,
  gateway,
  NAME,
  restore,
  sh,
  standBy,
  stateOf,
  traces,
} from './by-hand.ts';

const skip = await whyNoLab();
const signal = AbortSignal.timeout(175_000);

t.test('the life of a restored container', { skip }, async (t) => {
  const lab = await createDockerLab({ signal });
  t.teardown(() => lab.down());
  const [a, b] = [lab.on('a'), lab.on('b')];
  const daemonJson = path.join(b.host.rootDir, DEFAULT_DAEMON_JSON);
  mkdirSync(path.dirname(daemonJson), { recursive: true });
  writeFileSync(daemonJson, '{"live-restore": true}');
  await gateway(b, 'agent', 'install');
  const atFirst = await checkpoint(a);
  const healthy = () => answering(`http://${b.host.address}:8080/health`, signal);
  const restored = async (...more: string[]) => {
    const awaited = await standBy(b, a, more);
    copyCheckpoint(a, b);
    await restore(awaited);
    t.equal(await awaited.started, null);
    await healthy();
    t.same(await stateOf(b), atFirst);
  };
  const startedAfresh = async () => {
    await healthy();
    while ((await stateOf(b)).startedAt === atFirst.startedAt) await sleep(20, undefined, { signal });
    t.equal((await stateOf(b)).users, 0);
    t.equal((await traces(b)).filter((trace) => trace.includes('server.mjs')).length, 1, 'and once');
  };

  t.test('what it writes is in docker logs', async (t) => {
    await restored();
    await b.docker('exec', NAME, 'sh', '-c', 'echo here I am >/proc/1/fd/1');
    let logs = '';
    while (logs === '') logs = await b.docker('logs', NAME);
    t.equal(logs, 'here I am');
  });

  t.test('docker pause, stats and top work', async (t) => {
    await b.docker('pause', NAME);
    t.match(await b.docker('ps'), /Paused/);
    await b.docker('unpause', NAME);
    t.same(await stateOf(b), atFirst);
    t.match(await b.docker('stats', '--no-stream', '--format', '{{.PIDs}}'), /^\d+$/);
    t.match(await b.docker('top', NAME), 'server.mjs');
  });

  t.test('it ends in order by docker stop, and is started afresh by docker start', async () => {
    await b.docker('stop', '-t', '30', NAME);
    t.match(await b.docker('ps', '-a', '--format', '{{.Status}}'), /^Exited \(0\)/);
    t.equal(await sh(b.host, 'find /run/docker/runtime-runc -mindepth 2'), '');
    await b.docker('start', NAME);
    await startedAfresh();
    await b.docker('rm', '-f', NAME);
  });

  t.test('docker restart starts it afresh', async () => {
    await restored();
    await b.docker('restart', '-t', '30', NAME);
    await startedAfresh();
    await b.docker('rm', '-f', NAME);
  });

  t.test('its restart policy starts it afresh when it dies', async () => {
    await restored('--restart', 'always');
    await sh(b.host, `kill -KILL $(docker inspect -f '{{.State.Pid}}' ${NAME})`);
    await startedAfresh();
    await b.docker('rm', '-f', NAME);
  });

  t.test('it lives through the death of dockerd where live-restore is on', async (t) => {
    await restored('--restart', 'always');
    await b.daemon.kill();
    t.same(await stateOf(b), atFirst, 'it is reached meanwhile');
    await b.daemon.start({ supervise: false });
    t.same(await stateOf(b), atFirst);
    t.match(await b.docker('ps', '--format', '{{.Names}} {{.Status}}'), /^shop Up/);
    await b.docker('exec', NAME, 'true');
  });

  t.test('where it is off, a restart of dockerd starts it afresh by its policy', async () => {
    writeFileSync(
      daemonJson,
      '{"runtimes": {"holdfast": {"path": "/usr/local/lib/holdfast/docker-runtime"}}}',
    );
    await b.daemon.stop();
    await b.daemon.start({ supervise: false });
    await b.daemon.stop();
    await b.daemon.start({ supervise: false });
    await startedAfresh();
    await b.docker('rm', '-f', NAME);
    t.same(await traces(b), []);
  });
});
