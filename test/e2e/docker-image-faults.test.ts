import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Outcome, Step, Strategy } from '../../migrator/events.ts';
import { APP_IMAGE, type LabDocker } from '../lab/docker.ts';
import { buildImage, randomLayer } from '../migrator/engine/docker/image/build-image.ts';
import { digestOf } from '../migrator/engine/docker/image/made-up-engine.ts';
import { DockerScene } from './docker-scene.ts';
import { type Fault, surviveAll } from './faults.ts';
import { eventually, type Scene } from './scene.ts';

const MIB = 1024 ** 2;
const IMAGE = 'shop:2';
/** What it stands on, besides the image of the lab: both hosts have that. */
const SHARED = 'below:1';
const SPOOL = '/var/lib/holdfast/docker/image-spool';
/** Some seconds of it. */
const LINK = '20mbit';
/** Longer than it takes to be noticed. */
const LINK_AWAY_MS = 7_000;
/** Less than what is always left free there, and a layer. */
const SPOOL_MIB = 68;

const shared = await randomLayer(2 * MIB);
const own = await randomLayer(8 * MIB);

/** The destination has what the image stands on, and not the image; its link is slow. */
async function lacking(scene: Scene): Promise<void> {
  const there = engineOf(scene, scene.there);
  await there.docker('image', 'rm', '--force', IMAGE);
  await buildImage(there.api, [shared], SHARED, APP_IMAGE);
  await scene.slow(scene.there, LINK);
}

/** Settles in the middle of the image's own layer. @returns the file it comes into */
async function midImage(scene: Scene): Promise<string> {
  const dir = path.join(scene.host(scene.there).rootDir, SPOOL);
  const name = digestOf(own).replace(':', '-');
  await eventually('half of the layer to be there', () => {
    return list(dir).includes(name) && statSync(path.join(dir, name)).size > 2 * MIB;
  });
  return path.join(dir, name);
}

async function fast(scene: Scene): Promise<void> {
  for (const host of scene.lab.hosts.keys()) await scene.fast(host);
}

const onTheWay = { strategy: Strategy.stopAndCopy, before: lacking, mend: fast };

const faults: Fault[] = [
  {
    ...onTheWay,
    name: 'layers that its image shares are deleted at the destination in mid-move',
    strike: {
      at: Step.bring,
      make: async (scene) => {
        await midImage(scene);
        await engineOf(scene, scene.there).docker('image', 'rm', SHARED);
      },
    },
    outcome: Outcome.succeeded,
  },
  {
    ...onTheWay,
    name: 'what came of its image goes bad at the destination',
    strike: {
      at: Step.bring,
      make: async (scene) => {
        const file = openSync(await midImage(scene), 'r+');
        writeSync(file, 'something else', 4096);
        closeSync(file);
        await fast(scene);
      },
    },
    outcome: Outcome.succeeded,
  },
  {
    ...onTheWay,
    name: 'the link between the hosts is away for a while in the middle of its image',
    strike: {
      at: Step.bring,
      make: async (scene) => {
        await midImage(scene);
        await scene.part();
        await sleep(LINK_AWAY_MS);
        await scene.rejoin();
      },
    },
    outcome: Outcome.succeeded,
  },
  {
    ...onTheWay,
    name: 'there is too little room for its image at the destination',
    before: async (scene) => {
      await lacking(scene);
      const mount = `mount -t tmpfs -o size=${SPOOL_MIB}m tmpfs ${SPOOL}`;
      await scene.sh(scene.there, `mkdir -p ${SPOOL}; ${mount}`);
    },
    mend: async (scene) => {
      await scene.sh(scene.there, `umount ${SPOOL}`);
      await fast(scene);
    },
    code: /^LAYERS_DISK_FULL$/,
  },
];

await surviveAll(faults, { app: { memoryMib: 8 } }, (options) =>
  DockerScene.open({
    ...options,
    async image({ api }) {
      await buildImage(api, [shared], SHARED, APP_IMAGE);
      await buildImage(api, [own], IMAGE, SHARED);
      return IMAGE;
    },
  }),
);

function engineOf(scene: Scene, host: string): LabDocker {
  if (scene instanceof DockerScene) return scene.engine(host);
  throw new Error('this takes Docker');
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
