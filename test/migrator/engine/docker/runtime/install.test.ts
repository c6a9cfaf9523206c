import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import {
  DEFAULT_DAEMON_JSON,
  DEFAULT_WRAPPER_FILE,
} from '../../../../../migrator/engine/docker/runtime/install.ts';
import { createDockerLab, type LabDocker, runApp } from '../../../../lab/docker.ts';
import { whyNoLab } from '../../../../lab/needs-lab.ts';
import { gateway, NAME, sh } from './by-hand.ts';

const skip = await whyNoLab();
const signal = AbortSignal.timeout(175_000);

const SETTINGS = `{
    "log-opts": { "max-size": "9m" },
    "runtimes": { "other": { "path": "/usr/sbin/runc" } }
}
`;

t.test('gateway agent install and uninstall', { skip }, async (t) => {
  const lab = await createDockerLab({ signal });
  t.teardown(() => lab.down());
  const [a, b] = [lab.on('a'), lab.on('b')];
  const on = ({ host }: LabDocker, file: string) => path.join(host.rootDir, file);
  const runtimes = async (docker: LabDocker) =>
    Object.keys((await docker.api.info()).Runtimes).filter((name) => !/runc/.test(name));
  const pidOf = (docker: LabDocker) => sh(docker.host, "cat /run/docker.pid; pgrep -f '[s]erver.mjs'");

  t.test('a host without a daemon.json gets one, and is rid of it again', async (t) => {
    const said = await gateway(a, 'agent', 'install');
    t.match(said, `registered the runtime holdfast in ${DEFAULT_DAEMON_JSON}`);
    t.same(await runtimes(a), ['holdfast']);
    t.match(await gateway(a, 'agent', 'install'), 'has the runtime holdfast already');
    await gateway(a, 'agent', 'uninstall');
    t.same(await runtimes(a), []);
    t.notOk(existsSync(on(a, DEFAULT_DAEMON_JSON)));
    t.notOk(existsSync(on(a, DEFAULT_WRAPPER_FILE)));
    t.match(await gateway(a, 'agent', 'uninstall'), 'has no runtime holdfast', 'a second time does no harm');
  });

  t.test('what a daemon.json says is kept, and no container is disturbed', async (t) => {
    const file = on(b, DEFAULT_DAEMON_JSON);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, SETTINGS);
    chmodSync(file, 0o600);
    await runApp(b);
    const before = await pidOf(b);
    await gateway(b, 'agent', 'install');
    t.same(JSON.parse(readFileSync(file, 'utf8')), {
      'log-opts': { 'max-size': '9m' },
      runtimes: { other: { path: '/usr/sbin/runc' }, holdfast: { path: DEFAULT_WRAPPER_FILE } },
    });
    t.equal(statSync(file).mode & 0o777, 0o600);
    t.same(await runtimes(b), ['holdfast', 'other']);
    t.equal(readFileSync(`${file}.before-holdfast`, 'utf8'), SETTINGS);
    t.equal(await pidOf(b), before, 'dockerd and the container are those they were');
  });

  t.test('the runtime stays as long as a container uses it', async (t) => {
    await b.docker('rm', '-f', NAME);
    await runApp(b, { more: ['--runtime', 'holdfast'] });
    await t.rejects(gateway(b, 'agent', 'uninstall'), { message: /RUNTIME_IN_USE: .*container shop/ });
    await b.docker('stop', '-t', '1', NAME);
    await t.rejects(gateway(b, 'agent', 'uninstall'), { message: /RUNTIME_IN_USE/ });
    t.same(await runtimes(b), ['holdfast', 'other']);
    await b.docker('rm', NAME);
    await gateway(b, 'agent', 'uninstall');
    t.same(await runtimes(b), ['other']);
    t.equal(readFileSync(on(b, DEFAULT_DAEMON_JSON), 'utf8'), SETTINGS, 'to the letter');
    t.notOk(existsSync(on(b, `${DEFAULT_DAEMON_JSON}.before-holdfast`)));
  });

  t.test('what is not understood is refused, and left as it is', async (t) => {
    const file = on(b, DEFAULT_DAEMON_JSON);
    writeFileSync(file, '{ "runtimes": ');
    await t.rejects(gateway(b, 'agent', 'install'), { message: /DAEMON_JSON_INVALID/ });
    t.equal(readFileSync(file, 'utf8'), '{ "runtimes": ');
    writeFileSync(file, '{"runtimes":{"holdfast":{"path":"/bin/another"}}}');
    await t.rejects(gateway(b, 'agent', 'install'), { message: /RUNTIME_NAME_TAKEN/ });
    await t.rejects(gateway(b, 'agent'), { message: /required option '-c, --config <file>'/ });
  });

  t.test('a configuration that Docker does not take over is taken back', async (t) => {
    const file = on(b, DEFAULT_DAEMON_JSON);
    // Docker refuses the whole file, though it is JSON.
    const unfit = '{\n  "no-such-key": 1\n}\n';
    writeFileSync(file, unfit);
    await t.rejects(gateway(b, 'agent', 'install'), { message: /RUNTIME_NOT_LOADED/ });
    t.equal(readFileSync(file, 'utf8'), unfit);
  });

  t.test('where Docker does not run it is registered for its next start', async (t) => {
    await a.daemon.stop();
    t.match(await gateway(a, 'agent', 'install'), 'Docker does not run');
    await t.rejects(gateway(a, 'agent', 'uninstall'), { message: /DOCKER_NOT_RUNNING/ });
    await a.daemon.start({ supervise: false });
    t.same(await runtimes(a), ['holdfast']);
  });
});
