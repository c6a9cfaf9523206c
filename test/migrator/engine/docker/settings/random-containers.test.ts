import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import t from 'tap';
import { describe } from '../../../../../migrator/engine/docker/settings/describe.ts';
import { dockerApi } from '../../../../../migrator/engine/docker/settings/docker-api.ts';
import type {
  Inspected,
  InspectedNetwork,
  InspectedVolume,
} from '../../../../../migrator/engine/docker/settings/inspected.ts';
import {
  finalUpdate,
  makeContainer,
  VolumeLedger,
} from '../../../../../migrator/engine/docker/settings/settings.ts';
import { APP_IMAGE, createDockerLab } from '../../../../lab/docker.ts';
import { whyNoLab } from '../../../../lab/needs-lab.ts';
import { comparable } from './both-sides.ts';
import { type RandomContainer, randomContainer } from './random-container.ts';

/** `SEEDS=100-120` tries others. */
const [FIRST = 1, LAST = 16] = (process.env.SEEDS ?? '').split('-').filter(Boolean).map(Number);

const skip = await whyNoLab();
const signal = AbortSignal.timeout(170_000);

t.test(
  'whatever container is started at one host, the other one makes the same',
  { skip, timeout: 170_000 },
  async (t) => {
    const lab = await createDockerLab({ signal });
    const stateDir = await mkdtemp(join(tmpdir(), 'settings-'));
    t.teardown(async () => {
      await lab.down();
      await rm(stateDir, { recursive: true });
    });
    const [here, there] = [lab.on('a').api, lab.on('b').api];
    const ledger = new VolumeLedger(join(stateDir, 'volumes.json'));

    await t.test('a container that removes itself when it ends is removed as any other', async (t) => {
      const api = dockerApi(here, signal);
      const HostConfig = { AutoRemove: true };
      for (let times = 0; times < 5; times += 1) {
        await api.createContainer('once', { Image: APP_IMAGE, Cmd: ['sleep', 'infinity'], HostConfig });
        await here.getContainer('once').start();
        await here.getContainer('once').kill();
        await api.removeContainer('once');
        t.equal(await api.container('once'), undefined);
      }
    });

    for (let seed = FIRST; seed <= LAST; seed += 1) {
      await t.test(`the container of seed ${seed}`, async (t) => {
        const random = randomContainer(seed, APP_IMAGE);
        try {
          await start(here, random);
          const source = await inspect(here, random.name);
          const { settings, findings } = await describe(here, random.name, signal);
          t.same(findings, []);
          await makeContainer(
            there,
            settings,
            { runtime: 'runc', imageId: settings.imageId, ledger },
            signal,
          );
          await there.getContainer(random.name).start();
          await there.getContainer(random.name).update(finalUpdate(settings));
          const destination = await inspect(there, random.name);
          t.same(comparable(destination), comparable(source), `SEEDS=${seed}-${seed}`);
          t.same(await belongings(there, random), await belongings(here, random));
        } finally {
          await Promise.all([here, there].map((docker) => clear(docker, random)));
        }
      });
    }
  },
);

async function start(docker: Docker, { name, body, networks, volumes }: RandomContainer): Promise<void> {
  const api = dockerApi(docker, signal);
  for (const [network, settings] of Object.entries(networks))
    await api.createNetwork({ Name: network, ...settings });
  for (const [volume, settings] of Object.entries(volumes))
    await api.createVolume({ Name: volume, ...settings });
  await api.createContainer(name, body);
  await docker.getContainer(name).start();
}

async function inspect(docker: Docker, name: string): Promise<Inspected> {
  const found = await dockerApi(docker, signal).container(name);
  if (found === undefined) throw new Error(`${name} is gone`);
  return found;
}

/** The networks and volumes it has, without what each engine makes for itself. */
async function belongings(docker: Docker, { name, networks, volumes }: RandomContainer) {
  const api = dockerApi(docker, signal);
  const { Mounts, NetworkSettings } = await inspect(docker, name);
  const found: unknown[] = [];
  for (const volume of Object.keys(volumes)) {
    if (!Mounts?.some(({ Name }) => Name === volume)) continue;
    const { Driver, Options, Labels } = (await api.volume(volume)) as InspectedVolume;
    found.push({ Driver, Options: Options ?? {}, Labels: Labels ?? {} });
  }
  for (const network of Object.keys(networks)) {
    if (NetworkSettings.Networks?.[network] === undefined) continue;
    const { Id, Created, Containers, ...rest } = (await api.network(network)) as InspectedNetwork;
    found.push(rest);
  }
  return found;
}

async function clear(docker: Docker, { name, networks }: RandomContainer): Promise<void> {
  await dockerApi(docker, signal).removeContainer(name);
  for (const network of Object.keys(networks)) {
    await docker
      .getNetwork(network)
      .remove()
      .catch(() => {}); // The container was in none of them, so it was not made.
  }
}
