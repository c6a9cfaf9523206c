import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { cgroupPathOf, runcPlaceOf } from '../../../../migrator/engine/docker/runc-place.ts';

const ID = '4f1c7a9e02b3d5868f9a0b1c2d3e4f5061728394a5b6c7d8e9f0a1b2c3d4e5f6';

/** A process that is called and works as containerd's shim does; gone when the test ends. */
async function shim(t: Test, options: object, linux: object): Promise<string> {
  const id = randomBytes(32).toString('hex');
  const bundle = path.join(t.testdir(), 'moby', id);
  await mkdir(bundle, { recursive: true });
  await writeFile(path.join(bundle, 'options.json'), JSON.stringify(options));
  await writeFile(path.join(bundle, 'config.json'), JSON.stringify({ linux }));
  const argv = ['-namespace', 'moby', '-id', id, '-address', '/run/containerd/containerd.sock'];
  const child = spawn(process.execPath, ['-e', 'console.log(); setInterval(() => {}, 1e6)', '--', ...argv], {
    argv0: '/usr/bin/containerd-shim-runc-v2',
    cwd: bundle,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return id;
}

t.test('the shim of a container tells where runc has it', async (t) => {
  const id = await shim(
    t,
    { root: '/run/docker/runtime-holdfast' },
    { cgroupsPath: 'system.slice:docker:x' },
  );
  t.same(await runcPlaceOf('shop', id), {
    runcRoot: '/run/docker/runtime-holdfast/moby',
    cgroupPath: '/system.slice/docker-x.scope',
  });
});

t.test("where it was told no root it is runc's own in containerd", async (t) => {
  const id = await shim(t, {}, { cgroupsPath: '/docker/x' });
  t.same(await runcPlaceOf('shop', id), {
    runcRoot: '/run/containerd/runc/moby',
    cgroupPath: '/docker/x',
  });
});

t.test('a container that no shim has does not run', async (t) => {
  await shim(t, {}, {});
  await t.rejects(runcPlaceOf('shop', randomBytes(32).toString('hex')), { code: 'CONTAINER_NOT_RUNNING' });
});

t.test("systemd's slices lie in those that their names begin with", async (t) => {
  t.equal(cgroupPathOf('system.slice:docker:x', ID), '/system.slice/docker-x.scope');
  t.equal(cgroupPathOf(':docker:x', ID), '/system.slice/docker-x.scope');
  t.equal(cgroupPathOf('apps-web.slice:docker:x', ID), '/apps.slice/apps-web.slice/docker-x.scope');
});

t.test('with the other driver it is a path, and without any the id', async (t) => {
  t.equal(cgroupPathOf('/docker/x', ID), '/docker/x');
  t.equal(cgroupPathOf('', ID), `/${ID}`);
});
