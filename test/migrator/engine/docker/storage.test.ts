import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { describe } from '../../../../migrator/engine/docker/settings/describe.ts';
import { type DockerApi, dockerApi } from '../../../../migrator/engine/docker/settings/docker-api.ts';
import type { Storage } from '../../../../migrator/engine/docker/settings/mounts.ts';
import { admitStorage, SharedStorage } from '../../../../migrator/engine/docker/storage.ts';
import { engineInfo, inspected, volume } from './settings/recorded.ts';
import { type Holdings, StandIn } from './settings/stand-in.ts';

const soon = () => AbortSignal.timeout(10_000);

async function engine(t: Test, holdings: Partial<Holdings>): Promise<StandIn> {
  const standIn = await StandIn.open({ info: engineInfo(), ...holdings });
  t.teardown(standIn.close);
  return standIn;
}

/** A container with a directory of the host at /own and a volume at /data, at the one host; and what the other one has. */
async function twoHosts(t: Test) {
  const dir = t.testdir({ own: { file: 'x' }, here: {}, there: {} });
  const [own, here, there] = ['own', 'here', 'there'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const Mounts = [
    { Type: 'bind', Source: own, Destination: '/own', RW: true },
    { Type: 'volume', Name: 'data', Source: here, Destination: '/data', RW: true },
  ];
  const source = await engine(t, {
    containers: { shop: inspected({ container: { Mounts } }) },
    volumes: { data: volume({ Mountpoint: here }) },
  });
  const volumeAt = async (Mountpoint: string): Promise<DockerApi> => {
    const { docker } = await engine(t, { volumes: { data: volume({ Mountpoint }) } });
    return dockerApi(docker, soon());
  };
  const lay = async (shared: SharedStorage, storage: Storage) => {
    const { settings, findings } = await describe(source.docker, 'shop', soon(), storage);
    t.same(findings, []);
    return { settings, laid: await shared.lay('shop', dockerApi(source.docker, soon()), settings) };
  };
  return { dir, own, here, there, lay, volumeAt, source };
}

t.test('what is declared shared is not copied, and proven at the other host', async (t) => {
  const { own, here, lay, volumeAt } = await twoHosts(t);
  const shared = new SharedStorage();
  const { settings, laid } = await lay(shared, { '/own': 'shared', '/data': 'shared' });
  t.match(settings, { shape: { binds: [{ source: own, shared: true }] }, volumes: [{ shared: true }] });
  t.same(laid.findings, []);
  t.equal(JSON.parse(laid.evidence).length, 2);
  t.same(await admitStorage(await volumeAt(here), laid.evidence), []);
  await shared.confirm('shop');
  t.same([readdirSync(own), readdirSync(here)], [['file'], []], 'no probe is left');
});

t.test('another directory at the other host is refused by name', async (t) => {
  const { there, lay, volumeAt } = await twoHosts(t);
  const shared = new SharedStorage();
  const { laid } = await lay(shared, { '/data': 'shared' });
  t.match(await admitStorage(await volumeAt(there), laid.evidence), [
    {
      code: 'FILES_NOT_SHARED',
      message: /^the volume data is to be storage that both hosts share, and is not/,
    },
  ]);
  await t.rejects(shared.confirm('shop'), { code: 'FILES_NOT_SHARED' });
  const { docker } = await engine(t, {});
  t.match(await admitStorage(dockerApi(docker, soon()), laid.evidence), [
    { message: /there is no such volume/ },
  ]);
});

t.test('a copy is told from what is shared before anything is brought', async (t) => {
  const { there, lay, volumeAt } = await twoHosts(t);
  const shared = new SharedStorage();
  const { laid } = await lay(shared, { '/data': 'shared' });
  const [{ probe }] = JSON.parse(laid.evidence);
  writeFileSync(join(there, probe.name), probe.content);
  t.same(await admitStorage(await volumeAt(there), laid.evidence), []);
  await t.rejects(shared.confirm('shop'), { code: 'FILES_NOT_SHARED' });
});

t.test('nothing is shared that is neither declared so nor on such a file system', async (t) => {
  const { lay } = await twoHosts(t);
  const { settings, laid } = await lay(new SharedStorage(), {});
  t.notOk(settings.shape.binds[0]?.shared);
  t.notOk(settings.volumes[0]?.shared);
  t.same(JSON.parse(laid.evidence), []);
});

t.test('declarations that cannot be kept are refused', async (t) => {
  const { source, dir } = await twoHosts(t);
  const told = async (storage: Storage) =>
    (await describe(source.docker, 'shop', soon(), storage)).findings.map(
      ({ code, message }) => `${code} ${message}`,
    );
  t.match(await told({ '/own': 'local' }), [/SETTING_REFUSED .*only volumes are/]);
  t.match(await told({ '/nothing': 'shared' }), [/SETTING_UNKNOWN .*at \/nothing/]);
  mkdirSync(join(dir, 'etc'));
  writeFileSync(join(dir, 'etc/conf'), '');
  const Mounts = [{ Type: 'bind', Source: join(dir, 'etc/conf'), Destination: '/conf', RW: true }];
  const { docker } = await engine(t, { containers: { shop: inspected({ container: { Mounts } }) } });
  const { findings } = await describe(docker, 'shop', soon(), { '/conf': 'shared' });
  t.match(findings, [{ code: 'SETTING_REFUSED', message: /only of a directory/ }]);
});

t.test('evidence that makes no sense is refused', async (t) => {
  const { docker } = await engine(t, {});
  const probe = { name: '../../etc/passwd', content: 'x' };
  const evidence = JSON.stringify([{ path: '/tmp', probe }]);
  await t.rejects(admitStorage(dockerApi(docker, soon()), evidence), { code: 'AGENT_ANSWER_INVALID' });
});
