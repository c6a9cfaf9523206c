import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { describe } from '../../../../../migrator/engine/docker/settings/describe.ts';
import type { DockerSettings } from '../../../../../migrator/engine/docker/settings/docker-settings.ts';
import { parseSettings } from '../../../../../migrator/engine/docker/settings/docker-settings.ts';
import {
  finalUpdate,
  makeContainer,
  VolumeLedger,
} from '../../../../../migrator/engine/docker/settings/settings.ts';
import {
  type Changes,
  endpoint,
  engineInfo,
  IMAGE_ID,
  inspected,
  NETWORK_ID,
  network,
  volume,
} from './recorded.ts';
import { type Holdings, StandIn } from './stand-in.ts';

const signal = AbortSignal.timeout(60_000);

async function settingsOf(t: Test, changes: Changes = {}, holdings: Partial<Holdings> = {}) {
  const source = await StandIn.open({
    info: engineInfo(),
    ...holdings,
    containers: { shop: inspected(changes) },
  });
  t.teardown(source.close);
  const { settings } = await describe(source.docker, 'shop', signal);
  return parseSettings(JSON.parse(JSON.stringify(settings)));
}

async function destination(t: Test, holdings: Partial<Holdings> = {}) {
  const standIn = await StandIn.open({ info: engineInfo(), ...holdings });
  const dir = await mkdtemp(join(tmpdir(), 'destination-'));
  t.teardown(async () => {
    await standIn.close();
    await rm(dir, { recursive: true });
  });
  const ledger = new VolumeLedger(join(dir, 'volumes.json'));
  const make = (settings: DockerSettings) =>
    makeContainer(standIn.docker, settings, { runtime: 'holdfast', imageId: IMAGE_ID, ledger }, signal);
  return { standIn, ledger, make };
}

const inNetwork: Changes = {
  hostConfig: { NetworkMode: 'shop_default' },
  networks: { shop_default: endpoint({ Aliases: ['web'] }) },
};
const ofNetwork = { networks: { [NETWORK_ID]: network() } };
const withVolume: Changes = {
  container: { Mounts: [{ Type: 'volume', Name: 'data', Source: '/x', Destination: '/data', RW: true }] },
  hostConfig: { Binds: ['data:/data'] },
};

t.test(
  'a container is made with the runtime of ours, and not restarted by itself until the move is final',
  async (t) => {
    const policy = { Name: 'always', MaximumRetryCount: 0 };
    const settings = await settingsOf(t, { hostConfig: { RestartPolicy: policy } });
    const { standIn, make } = await destination(t);
    t.equal(await make(settings), 'made');
    t.match(standIn.made, [
      {
        path: '/containers/create',
        body: {
          Image: IMAGE_ID,
          Entrypoint: ['node'],
          HostConfig: { Runtime: 'holdfast', RestartPolicy: { Name: 'no', MaximumRetryCount: 0 } },
        },
      },
    ]);
    t.same(finalUpdate(settings), { RestartPolicy: policy });
  },
);

t.test('no secret is in a URL, which engines log', async (t) => {
  const { standIn, make } = await destination(t, { images: { 'shop:latest': { Id: IMAGE_ID } } });
  await make(await settingsOf(t, withVolume, { volumes: { data: volume({ Labels: { key: 'staple' } }) } }));
  t.notMatch(standIn.urls.join('\n'), /horse|staple/);
  t.match(JSON.stringify(standIn.made), /horse/);
});

t.test('the image is called as it was, unless that is another one here', async (t) => {
  const settings = await settingsOf(t);
  const same = await destination(t, { images: { 'shop:latest': { Id: IMAGE_ID } } });
  await same.make(settings);
  t.equal(same.standIn.made[0]?.body.Image, 'shop:latest');
  const other = await destination(t, { images: { 'shop:latest': { Id: 'sha256:other' } } });
  await other.make(settings);
  t.equal(other.standIn.made[0]?.body.Image, IMAGE_ID);
});

t.test("an entrypoint that was taken away is not replaced by the image's", async (t) => {
  const settings = await settingsOf(t, { config: { Entrypoint: null } });
  const { standIn, make } = await destination(t);
  await make(settings);
  t.same(standIn.made[0]?.body.Entrypoint, ['']);
});

t.test('a network that is missing is made as it was', async (t) => {
  const settings = await settingsOf(t, inNetwork, ofNetwork);
  const { standIn, make } = await destination(t);
  await make(settings);
  t.match(standIn.made, [
    {
      path: '/networks/create',
      body: {
        Name: 'shop_default',
        Driver: 'bridge',
        Labels: { 'com.docker.compose.network': 'default' },
        IPAM: { Config: [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }] },
      },
    },
    {
      path: '/containers/create',
      body: { NetworkingConfig: { EndpointsConfig: { shop_default: { Aliases: ['web'] } } } },
    },
  ]);
});

t.test('it gets another subnet where that one is in use, unless an address was asked for', async (t) => {
  const others = { other_default: network({ Name: 'other_default' }) };
  const plain = await destination(t, { networks: { ...others } });
  await plain.make(await settingsOf(t, inNetwork, ofNetwork));
  t.match(plain.standIn.holdings.networks.shop_default, { IPAM: { Config: [] } });

  const fixed = await settingsOf(
    t,
    { ...inNetwork, networks: { shop_default: endpoint({ IPAMConfig: { IPv4Address: '172.18.0.9' } }) } },
    ofNetwork,
  );
  const { make } = await destination(t, { networks: { ...others } });
  await t.rejects(make(fixed), { code: 'DOCKER_REFUSED', message: /overlap/ });
});

t.test('a network of another kind is not used, and none but a bridge is made', async (t) => {
  const settings = await settingsOf(t, inNetwork, ofNetwork);
  const macvlan = await destination(t, { networks: { shop_default: network({ Driver: 'macvlan' }) } });
  await t.rejects(macvlan.make(settings), { code: 'NETWORK_DIFFERS' });
  const ofSwarm = { networks: { [NETWORK_ID]: network({ Driver: 'overlay', Scope: 'swarm' }) } };
  const { make } = await destination(t);
  await t.rejects(make(await settingsOf(t, inNetwork, ofSwarm)), {
    code: 'NETWORK_MISSING',
    message: /swarm/,
  });
});

t.test('a volume that is missing is made as it was, and known from then on', async (t) => {
  const settings = await settingsOf(t, withVolume, { volumes: { data: volume({ Labels: { a: 'b' } }) } });
  const { standIn, ledger, make } = await destination(t);
  await make(settings);
  t.match(standIn.made[0], {
    path: '/volumes/create',
    body: { Name: 'data', Driver: 'local', Labels: { a: 'b' } },
  });
  t.same(await ledger.of('shop'), { data: 'just now' });
});

t.test(
  'a volume on storage that both hosts have is made with its options, and never written to',
  async (t) => {
    const Options = { type: 'nfs', device: ':/data', o: 'addr=192.0.2.1' };
    const settings = await settingsOf(t, withVolume, { volumes: { data: volume({ Options }) } });
    const { standIn, ledger, make } = await destination(t);
    await make(settings);
    t.match(standIn.made[0], { path: '/volumes/create', body: { Name: 'data', DriverOpts: Options } });
    t.same(await ledger.of('shop'), {});
  },
);

t.test('a volume that is kept in another way is not used', async (t) => {
  const settings = await settingsOf(t, withVolume, { volumes: { data: volume() } });
  const { make } = await destination(t, { volumes: { data: volume({ Options: { type: 'nfs' } }) } });
  await t.rejects(make(settings), { code: 'VOLUME_DIFFERS' });
});

t.test('a volume that somebody has made since preflight stays as it is', async (t) => {
  const settings = await settingsOf(t, withVolume, { volumes: { data: volume() } });
  const theirs = volume({ Mountpoint: t.testdir({ 'letter.txt': 'dear reader' }) });
  const { standIn, ledger, make } = await destination(t, { volumes: { data: theirs } });
  await t.rejects(make(settings), { code: 'VOLUME_TAKEN' });
  t.same(standIn.made, []);
  t.same(await ledger.of('shop'), {}, 'nor may a later move write to it');
  await ledger.remember('shop', { data: String(theirs.CreatedAt) });
  t.equal(await make(settings), 'made', 'unless it is of an earlier move');
});

t.test('a container that has not got all its settings is removed again', async (t) => {
  const settings = await settingsOf(t, { hostConfig: { Memory: 64 << 20 } });
  const { standIn, make } = await destination(t, { drops: ['Memory'] });
  await t.rejects(make(settings), { code: 'SETTING_LOST', message: /Memory$/ });
  t.equal(standIn.holdings.containers.made, undefined);
});

t.test(
  'what the daemon adds of its own is no loss, and neither is another way of saying nothing',
  async (t) => {
    const settings = await settingsOf(t, { hostConfig: { Ulimits: null, PidsLimit: 0 } });
    settings.hostConfig.LogConfig = { Type: 'json-file', Config: null };
    const { make } = await destination(t);
    t.equal(await make(settings), 'made');
  },
);

t.test('a container of that name stays as it is', async (t) => {
  const { standIn, make } = await destination(t, { containers: { shop: inspected() } });
  await t.rejects(make(await settingsOf(t)), { code: 'CONTAINER_EXISTS' });
  t.same(standIn.made, []);
});

t.test('what Docker says in an error is told without secrets', async (t) => {
  const settings = await settingsOf(t);
  settings.shape.networks.push({
    ...{ name: 'x', driver: 'correct horse', internal: false, subnets: [], addresses: [], links: [] },
  });
  const { make } = await destination(t, { networks: { x: network() } });
  await t.rejects(make(settings), {
    code: 'NETWORK_DIFFERS',
    message: 'the network x is a bridge here, not a …',
  });
});

t.test('settings of another version are refused without telling what is in them', async (t) => {
  t.throws(() => parseSettings({ config: { Env: ['PASSWORD=hunter2'] } }), {
    code: 'AGENT_ANSWER_INVALID',
    message: /^(?!.*hunter2)/,
  });
});
