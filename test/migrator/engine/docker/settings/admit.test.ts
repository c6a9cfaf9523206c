import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DockerShape } from '../../../../../migrator/engine/docker/settings/docker-settings.ts';
import { admitSettings, VolumeLedger } from '../../../../../migrator/engine/docker/settings/settings.ts';
import { engineInfo, inspected, network, volume } from './recorded.ts';
import { type Holdings, StandIn } from './stand-in.ts';

const signal = AbortSignal.timeout(60_000);

function shape(changes: Partial<DockerShape> = {}): DockerShape {
  return {
    ...{ name: 'shop', ports: [], binds: [], networks: [], volumes: [], logDriver: 'json-file' },
    ...{ cgroupParent: '', cpus: 0, cpuset: '' },
    engine: { storageDriver: 'overlay2', cgroupVersion: '1', cgroupDriver: 'cgroupfs', appArmorProfile: '' },
    ...changes,
  };
}

function ofEngine(changes: Partial<DockerShape['engine']>): Partial<DockerShape> {
  return { engine: { ...shape().engine, ...changes } };
}

const aNetwork = {
  name: 'net',
  driver: 'bridge',
  internal: false,
  subnets: ['172.18.0.0/16'],
  addresses: [],
  links: [],
};
const aVolume = { name: 'data', driver: 'local', optionNames: [], shared: false };

async function admitted(
  t: Test,
  changes: Partial<DockerShape>,
  holdings: Partial<Holdings> = {},
  ownVolumes = {},
) {
  const standIn = await StandIn.open({ info: engineInfo(), ...holdings });
  t.teardown(standIn.close);
  return admitSettings(standIn.docker, shape(changes), { runtime: 'holdfast', ownVolumes }, signal);
}

const listed = (name: string, more: object = {}) => ({
  [name]: { Listed: { Id: name, Names: [`/${name}`], State: 'running', Ports: [], ...more } },
});

t.test('a container that needs nothing is taken', async (t) => {
  t.same(await admitted(t, {}), []);
});

type Case = [string, string, RegExp, Partial<DockerShape>, Partial<Holdings>?];
const cases: Case[] = [
  [
    'Docker has one of that name',
    'CONTAINER_EXISTS',
    /shop here already, running/,
    {},
    { containers: { shop: inspected() } },
  ],
  [
    'the runtime is not installed',
    'DOCKER_RUNTIME_MISSING',
    /holdfast/,
    {},
    { info: engineInfo({ Runtimes: { runc: { path: 'runc' } } }) },
  ],
  ['the log driver is missing', 'LOG_DRIVER_MISSING', /gelf/, { logDriver: 'gelf' }],
  ['there are too few CPUs', 'CPUS_MISSING', /6 CPUs.* 4 are here/, { cpus: 6 }],
  ['it is bound to a CPU that is not there', 'CPUS_MISSING', /8 CPUs/, { cpuset: '0,6-7' }],
  [
    'cgroups are of another version',
    'DOCKER_DIFFERS',
    /version 2 there, 1 here/,
    ofEngine({ cgroupVersion: '2' }),
  ],
  [
    'its cgroup has a parent of another kind',
    'DOCKER_DIFFERS',
    /cgroup-parent/,
    { cgroupParent: 'web.slice', ...ofEngine({ cgroupDriver: 'systemd' }) },
  ],
  ['docker-init is another one', 'DOCKER_DIFFERS', /docker-init/, ofEngine({ initCommit: 'de40ad0' })],
  [
    'AppArmor is only there',
    'DOCKER_DIFFERS',
    /AppArmor there/,
    ofEngine({ appArmorProfile: 'docker-default' }),
  ],
  [
    'AppArmor is only here',
    'DOCKER_DIFFERS',
    /no AppArmor there/,
    {},
    { info: engineInfo({ SecurityOptions: ['name=apparmor'] }) },
  ],
  [
    'its AppArmor profile is not loaded',
    'DOCKER_DIFFERS',
    /my-own is not loaded/,
    ofEngine({ appArmorProfile: 'my-own' }),
    { info: engineInfo({ SecurityOptions: ['name=apparmor'] }) },
  ],
  [
    'another container publishes its port',
    'PORT_TAKEN',
    /the container other listens on tcp port 59998/,
    { ports: [{ protocol: 'tcp', address: '127.0.0.1', port: 59998 }] },
    { containers: listed('other', { Ports: [{ IP: '0.0.0.0', PublicPort: 59998, Type: 'tcp' }] }) },
  ],
  [
    'it publishes at an address that is not here',
    'HOST_ADDRESS_MISSING',
    /192\.0\.2\.77/,
    { ports: [{ protocol: 'tcp', address: '192.0.2.77', port: 59999 }] },
  ],
  [
    'what it mounts is missing',
    'MOUNT_SOURCE_MISSING',
    /no directory \/nowhere/,
    { binds: [{ source: '/nowhere', kind: 'directory' }] },
  ],
  [
    'what it mounts is of another kind',
    'MOUNT_SOURCE_MISSING',
    /it is a directory here/,
    { binds: [{ source: '/etc', kind: 'file' }] },
  ],
  [
    'a network is missing that cannot be made',
    'NETWORK_MISSING',
    /far away/,
    { networks: [{ ...aNetwork, whyNotMade: 'it is far away' }] },
  ],
  [
    'a network is of another driver',
    'NETWORK_DIFFERS',
    /macvlan here, and bridge there/,
    { networks: [aNetwork] },
    { networks: { net: network({ Driver: 'macvlan' }) } },
  ],
  [
    'a network is closed there and open here',
    'NETWORK_DIFFERS',
    /bridge here, and internal bridge there/,
    { networks: [{ ...aNetwork, internal: true }] },
    { networks: { net: network() } },
  ],
  [
    'its address is in no subnet here',
    'NETWORK_DIFFERS',
    /172\.20\.0\.9/,
    { networks: [{ ...aNetwork, addresses: ['172.20.0.9'] }] },
    { networks: { net: network() } },
  ],
  [
    'the subnet of its address is that of another network',
    'NETWORK_DIFFERS',
    /shop_default/,
    { networks: [{ ...aNetwork, addresses: ['172.18.0.9'] }] },
    { networks: { other: network() } },
  ],
  [
    'its address is taken',
    'ADDRESS_TAKEN',
    /db has its address/,
    { networks: [{ ...aNetwork, addresses: ['172.18.0.9'] }] },
    {
      networks: {
        net: network({ Containers: { x: { Name: 'db', IPv4Address: '172.18.0.9/16', IPv6Address: '' } } }),
      },
    },
  ],
  [
    'what it is linked to does not run here',
    'LINK_MISSING',
    /--link to db/,
    { networks: [{ ...aNetwork, links: ['db'] }] },
    { networks: { net: network() } },
  ],
  [
    'a volume of a plugin is missing',
    'VOLUME_MISSING',
    /rexray/,
    { volumes: [{ ...aVolume, driver: 'rexray', shared: true }] },
  ],
  [
    'the path behind a volume is missing',
    'MOUNT_SOURCE_MISSING',
    /stands for \/nowhere/,
    { volumes: [{ ...aVolume, device: '/nowhere', shared: true }] },
  ],
  [
    'a volume stands for a path of its host, here too',
    'SETTING_REFUSED',
    /data stands for \/tmp of its host/,
    { volumes: [{ ...aVolume, device: '/tmp', optionNames: ['device', 'o', 'type'] }] },
  ],
  [
    'a volume is a tmpfs that Docker mounts',
    'SETTING_REFUSED',
    /data is a file system that Docker mounts/,
    { volumes: [{ ...aVolume, optionNames: ['device', 'o', 'type'] }] },
  ],
  [
    'a volume is of another driver',
    'VOLUME_DIFFERS',
    /there \(local\) than here \(rexray\)/,
    { volumes: [aVolume] },
    { volumes: { data: volume({ Driver: 'rexray' }) } },
  ],
  [
    'a volume is mounted from elsewhere',
    'VOLUME_DIFFERS',
    /there \(local\) than here \(local, device, o, type\)/,
    { volumes: [aVolume] },
    { volumes: { data: volume({ Options: { type: 'cifs', device: '//x', o: 'password=hunter2' } }) } },
  ],
  [
    'somebody uses a volume of that name',
    'VOLUME_TAKEN',
    /other uses it/,
    { volumes: [aVolume] },
    {
      volumes: { data: volume() },
      containers: listed('other', { State: 'exited', Mounts: [{ Name: 'data' }] }),
    },
  ],
];

for (const [when, code, message, changes, holdings] of cases) {
  t.test(`a container is refused when ${when}`, async (t) => {
    const findings = await admitted(t, changes, holdings);
    t.match(findings, [{ code, message, mend: /\w/ }]);
    t.equal(findings.length, 1);
  });
}

t.test('to keep no log takes no driver', async (t) => {
  t.same(await admitted(t, { logDriver: 'none' }), []);
});

t.test('a port is taken when anybody listens there', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  t.match(await admitted(t, { ports: [{ protocol: 'tcp', address: '', port }] }), [
    { code: 'PORT_TAKEN', message: new RegExp(`something listens on tcp port ${port}`) },
  ]);
  t.same(await admitted(t, { ports: [{ protocol: 'udp', address: '', port }] }), [], 'by the same protocol');
  t.same(
    await admitted(t, { ports: [{ protocol: 'tcp', address: '127.0.0.7', port }] }),
    [],
    'at the same address',
  );
});

t.test('a network that is missing and can be made, or is there and alike, is no hindrance', async (t) => {
  t.same(await admitted(t, { networks: [aNetwork] }, { networks: { other: network() } }), []);
  const linked = inspected({ networks: { net: {} } });
  t.same(
    await admitted(
      t,
      { networks: [{ ...aNetwork, addresses: ['172.18.0.9'], links: ['db'] }] },
      { networks: { net: network() }, containers: { db: linked } },
    ),
    [],
  );
});

t.test(
  'a volume with a content of its own is only written to if it is the same one as in an earlier move',
  async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'volume-'));
    t.teardown(() => rm(dir, { recursive: true }));
    const [empty, full] = [join(dir, 'empty'), join(dir, 'full')];
    await Promise.all([empty, full].map((each) => mkdir(each)));
    await writeFile(join(full, 'file'), '');
    const volumes = (Mountpoint: string, more = {}) => ({ data: volume({ Mountpoint, ...more }) });
    const ask = (holdings: Partial<Holdings>, own = {}) => admitted(t, { volumes: [aVolume] }, holdings, own);

    t.same(await ask({ volumes: {} }), [], 'one that is missing is made');
    t.same(await ask({ volumes: volumes(empty) }), [], 'one that is empty is used');
    t.match(await ask({ volumes: volumes(full) }), [{ code: 'VOLUME_TAKEN', mend: /docker volume rm data/ }]);
    const ledger = new VolumeLedger(join(dir, 'ledger.json'));
    await ledger.remember('shop', { data: '2025-11-21T19:20:09Z' });
    await ledger.remember('shop', { more: 'later' });
    const own = await new VolumeLedger(join(dir, 'ledger.json')).of('shop');
    t.same(await ask({ volumes: volumes(full) }, own), [], 'one from an earlier move is used again');
    const anew = { volumes: volumes(full, { CreatedAt: '2025-12-24T00:00:00Z' }) };
    t.match(await ask(anew, own), [{ code: 'VOLUME_TAKEN' }], 'unless it was made anew since');
    t.same(await ledger.of('blog'), {}, 'or is from a move of another container');
  },
);

t.test('storage that both hosts share is not looked into', async (t) => {
  const shared = { volumes: [{ ...aVolume, shared: true }] };
  t.same(await admitted(t, shared, { volumes: { data: volume({ Mountpoint: '/etc' }) } }), []);
});
