import t from 'tap';
import { APP_IMAGE, answering, createDockerLab, runApp } from './docker.ts';
import { leftovers } from './lab.ts';
import { whyNoLab } from './needs-lab.ts';

const skip = await whyNoLab();
const signal = AbortSignal.timeout(170_000);

t.test('a lab of two hosts with Docker', { skip }, async (t) => {
  const lab = await createDockerLab({ signal });
  t.teardown(() => lab.down());
  const [a, b] = [lab.on('a'), lab.on('b')];

  t.test('a container is run as users run it, and answers at its published port', async (t) => {
    const id = await runApp(a);
    t.match(id, /^[0-9a-f]{64}$/);
    t.match(
      await a.docker('ps', '--format', '{{.Names}} {{.Image}} {{.Ports}}'),
      `shop ${APP_IMAGE} 0.0.0.0:8080`,
    );
    t.match(await a.docker('exec', 'shop', 'cat', '/proc/1/cmdline'), 'server.mjs');
    t.equal(await a.docker('logs', 'shop'), 'listening on 8080');
    t.equal(await b.docker('ps', '-aq'), '', 'and the other host knows nothing of it');
    const inspected = await a.api.getContainer('shop').inspect();
    t.equal(inspected.Id, id, 'the engine can be talked to from the machine');
    t.match(await a.api.info(), { Driver: 'overlay2' }, 'on a real disk');
  });

  t.test('containers outlive neither docker rm nor, without a policy, dockerd', async (t) => {
    await a.daemon.stop();
    await a.daemon.start({ supervise: false });
    t.equal(await a.docker('ps', '-q'), '');
    await a.docker('start', 'shop');
    await answering(`http://${a.host.address}:8080/health`, signal);
    await a.docker('rm', '-f', 'shop');
    t.equal(await a.docker('ps', '-aq'), '');
  });

  t.test('nothing is left of it when it is taken down', async (t) => {
    await runApp(a);
    await runApp(b, { more: ['--restart', 'always'] });
    await lab.down();
    t.same(leftovers(lab.lab.name), []);
  });
});
