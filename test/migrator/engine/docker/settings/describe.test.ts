import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { describe } from '../../../../../migrator/engine/docker/settings/describe.ts';
import { described } from './described.ts';
import { endpoint, engineInfo, ID, NETWORK_ID, network, volume } from './recorded.ts';
import { StandIn } from './stand-in.ts';

t.test('an ordinary container is carried whole', async (t) => {
  const { settings, findings } = await described(t);
  t.same(findings, []);
  t.match(settings, {
    shape: { name: 'shop', logDriver: 'json-file', ports: [], volumes: [], networks: [] },
    image: 'shop:latest',
    config: { Hostname: ID.slice(0, 12), Env: ['DB_PASSWORD=correct horse', 'PATH=/usr/bin:/bin'] },
    hostConfig: { ShmSize: 67108864, NetworkMode: 'bridge' },
  });
  t.same(JSON.parse(JSON.stringify(settings)), settings, 'as JSON');
});

t.test('what goes through the gateway holds no value of a setting that may be secret', async (t) => {
  const { settings } = await described(
    t,
    {
      config: {
        Cmd: ['--token', 'hunter2-hunter2'],
        Healthcheck: { Test: ['CMD', 'curl', 'hunter3-hunter3'] },
      },
      hostConfig: {
        LogConfig: { Type: 'syslog', Config: { 'splunk-token': 'hunter4-hunter4' } },
        Annotations: { note: 'hunter5-hunter5' },
        Mounts: [{ Type: 'volume', Source: 'data', Target: '/data' }],
      },
      container: {
        Mounts: [
          { Type: 'volume', Name: 'data', Source: '/x', Destination: '/data', Driver: 'local', RW: true },
        ],
      },
    },
    { volumes: { data: volume({ Options: { type: 'cifs', o: 'password=hunter6-hunter6' } }) } },
  );
  t.notMatch(JSON.stringify(settings.shape), /hunter|horse|staple/);
  t.match(JSON.stringify(settings), /hunter6/, 'what goes from agent to agent does');
});

t.test('a setting that is unknown and asks for nothing stands against nothing', async (t) => {
  const { findings } = await described(t, { hostConfig: { Levitate: false, Isolation: 'default' } });
  t.same(findings, []);
});

t.test('a container that is not there is told apart from one that stands still', async (t) => {
  const standIn = await StandIn.open({ info: engineInfo() });
  t.teardown(standIn.close);
  await t.rejects(describe(standIn.docker, 'shop', AbortSignal.timeout(10_000)), {
    code: 'CONTAINER_NOT_RUNNING',
  });
});

t.test('ports that Docker chose are published as they are', async (t) => {
  const { settings } = await described(t, {
    hostConfig: {
      PublishAllPorts: true,
      PortBindings: {
        '80/tcp': [
          { HostIp: '', HostPort: '' },
          { HostIp: '', HostPort: '8080' },
        ],
        '53/udp': [{ HostIp: '127.0.0.1', HostPort: '5300-5400' }],
      },
    },
    ports: {
      '80/tcp': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
        { HostIp: '0.0.0.0', HostPort: '32768' },
        { HostIp: '::', HostPort: '32768' },
      ],
      '53/udp': [{ HostIp: '127.0.0.1', HostPort: '5301' }],
      '443/tcp': [
        { HostIp: '0.0.0.0', HostPort: '32769' },
        { HostIp: '::', HostPort: '32769' },
      ],
    },
  });
  t.same(settings.hostConfig.PortBindings, {
    '80/tcp': [
      { HostIp: '', HostPort: '32768' },
      { HostIp: '', HostPort: '8080' },
    ],
    '53/udp': [{ HostIp: '127.0.0.1', HostPort: '5301' }],
    '443/tcp': [{ HostIp: '', HostPort: '32769' }],
  });
  t.same(settings.shape.ports, [
    { protocol: 'tcp', address: '', port: 32768 },
    { protocol: 'tcp', address: '', port: 8080 },
    { protocol: 'udp', address: '127.0.0.1', port: 5301 },
    { protocol: 'tcp', address: '', port: 32769 },
  ]);
});

t.test('volumes without a name keep the one that Docker gave them', async (t) => {
  const point = (Name: string, Destination: string) => ({
    ...{
      Type: 'volume',
      Name,
      Source: '/x',
      Destination,
      Driver: 'local',
      RW: true,
      Mode: '',
      Propagation: '',
    },
  });
  const names = { image: 'a'.repeat(64), mount: 'b'.repeat(64), bare: 'c'.repeat(64) };
  const { settings, findings } = await described(
    t,
    {
      config: { Volumes: { '/cache': {} } },
      hostConfig: {
        Binds: ['data:/data', '/bare'],
        Mounts: [{ Type: 'volume', Target: '/mount/' }],
      },
      container: {
        Mounts: [
          point('data', '/data'),
          point(names.image, '/cache'),
          point(names.mount, '/mount'),
          point(names.bare, '/bare'),
        ],
      },
    },
    {
      volumes: Object.fromEntries(
        ['data', ...Object.values(names)].map((Name) => [Name, volume({ Name, Labels: { of: Name } })]),
      ),
    },
  );
  t.same(findings, []);
  t.same(settings.hostConfig.Binds, ['data:/data']);
  t.same(settings.hostConfig.Mounts, [
    { Type: 'volume', Target: '/mount/', Source: names.mount },
    { Type: 'volume', Source: names.image, Target: '/cache' },
    { Type: 'volume', Source: names.bare, Target: '/bare' },
  ]);
  t.same(
    settings.volumes.map(({ name, labels, destinations }) => [name, labels.of, destinations]),
    [
      ['data', 'data', ['/data']],
      [names.image, names.image, ['/cache']],
      [names.mount, names.mount, ['/mount']],
      [names.bare, names.bare, ['/bare']],
    ],
  );
});

t.test('a volume that somebody else uses is not taken away', async (t) => {
  const uses = {
    container: { Mounts: [{ Type: 'volume', Name: 'data', Source: '/x', Destination: '/data', RW: true }] },
    hostConfig: { Binds: ['data:/data'] },
  };
  const neighbour = (State: string) => ({
    backup: { Listed: { Id: 'other', Names: ['/backup'], State, Ports: [], Mounts: [{ Name: 'data' }] } },
  });
  const local = { volumes: { data: volume() } };
  const { findings } = await described(t, uses, { ...local, containers: neighbour('running') });
  t.match(findings, [{ code: 'VOLUME_SHARED', message: /backup uses its volume data/ }]);

  const { findings: ofIdle } = await described(t, uses, { ...local, containers: neighbour('exited') });
  t.same(ofIdle, [], 'unless that does not run');

  const nfs = {
    volumes: { data: volume({ Options: { type: 'nfs', o: 'addr=10.0.0.1', device: ':/data' } }) },
  };
  const { findings: ofShared, settings } = await described(t, uses, {
    ...nfs,
    containers: neighbour('running'),
  });
  t.same(ofShared, [], 'or the storage is shared by both hosts');
  t.match(settings.volumes, [{ shared: true }]);
});

t.test('a mounted path is carried with what it is, and sockets of the host are refused', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mounted-'));
  const socket = createServer().listen(join(dir, 'docker.sock'));
  t.teardown(async () => {
    socket.close();
    await rm(dir, { recursive: true });
  });
  await writeFile(join(dir, 'file'), '');
  const Mounts = ['', 'file', 'docker.sock', 'gone'].map((name) => ({
    ...{ Type: 'bind', Source: join(dir, name), Destination: `/in/${name}`, RW: true },
  }));
  const { settings, findings } = await described(t, { container: { Mounts } });
  t.same(settings.shape.binds, [
    { source: join(dir, ''), kind: 'directory' },
    { source: join(dir, 'file'), kind: 'file' },
  ]);
  t.match(findings, [
    { code: 'HOST_DEVICE', message: /docker\.sock mounted.*it is a socket/ },
    { code: 'MOUNT_SOURCE_MISSING', message: /gone/ },
  ]);
});

t.test('networks are carried by name, with what is needed to make them', async (t) => {
  const { settings, findings } = await described(
    t,
    {
      config: { MacAddress: '02:00:00:00:00:01' },
      hostConfig: { NetworkMode: NETWORK_ID.slice(0, 16), Links: ['db:database'] },
      networks: {
        shop_default: endpoint({
          IPAMConfig: { IPv4Address: '172.18.0.9' },
          Aliases: ['web', ID.slice(0, 12)],
          Links: ['db:database'],
        }),
        far: endpoint({ NetworkID: 'far' }),
      },
    },
    {
      networks: { [NETWORK_ID]: network(), far: network({ Name: 'far', Driver: 'overlay', Scope: 'swarm' }) },
    },
  );
  t.same(findings, []);
  t.equal(settings.hostConfig.NetworkMode, 'shop_default');
  t.match(settings.endpoints.shop_default, {
    IPAMConfig: { IPv4Address: '172.18.0.9' },
    Aliases: ['web'],
    MacAddress: '02:00:00:00:00:01',
  });
  t.equal(settings.endpoints.far?.MacAddress, undefined, 'a hardware address that Docker made up stays');
  t.match(settings.networks, {
    shop_default: {
      Name: 'shop_default',
      Driver: 'bridge',
      Labels: { 'com.docker.compose.network': 'default' },
    },
  });
  t.match(settings.shape.networks, [
    { name: 'shop_default', addresses: ['172.18.0.9'], links: ['db'], subnets: ['172.18.0.0/16'] },
    { name: 'far', whyNotMade: /swarm/ },
  ]);
});
