import { Step, type Strategy } from '../../migrator/events.ts';
import { emptyDisks, fillDisk } from './disks.ts';
import { type Fault, surviveAll } from './faults.ts';
import { eventually, type Scene } from './scene.ts';

const IMAGES_MIB = 192;
/** More than whatever else is said to a host meanwhile. */
const UNDER_WAY_BYTES = 512 * 1024;

/** Something that meets the rounds in which memory is sent ahead, while the app runs. */
function duringRounds(
  strategy: Strategy,
  make: (scene: Scene) => Promise<unknown>,
  mend: (scene: Scene) => Promise<unknown> = async () => {},
) {
  return {
    strategy,
    before: (scene: Scene) => scene.slow(scene.there),
    strike: {
      at: Step.preCopy,
      make: async (scene: Scene) => {
        const { there } = scene;
        const begunAt = await scene.receivedBytes(there);
        const isUnderWay = async () => (await scene.receivedBytes(there)) - begunAt > UNDER_WAY_BYTES;
        await eventually('memory to be on its way', isUnderWay);
        await make(scene);
      },
    },
    mend: async (scene: Scene) => {
      await mend(scene);
      await scene.fast(scene.there);
    },
  };
}

/** What may happen while memory is sent ahead, by a strategy that does so. */
export const roundsFaults = (strategy: Strategy): Fault[] => [
  {
    name: 'the agent of the destination is killed while memory is sent ahead',
    ...duringRounds(strategy, (scene) => scene.system.agent(scene.there).kill()),
    code: /^LINK_BROKEN$/,
  },
  {
    name: 'the link of the destination is cut while memory is sent ahead',
    ...duringRounds(
      strategy,
      (scene) => scene.lab.cutLink(scene.there),
      (scene) => scene.lab.mendLink(scene.there),
    ),
    code: /^LINK_STALLED$/,
  },
  {
    name: 'the agent of the source is killed while memory is sent ahead',
    ...duringRounds(strategy, (scene) => scene.killAgent(scene.here)),
    code: /^AGENT_UNREACHABLE$/,
  },
  {
    name: 'the disk for the images fills up at the destination while memory is sent ahead',
    ...duringRounds(strategy, (scene) => fillDisk(scene, scene.there), emptyDisks),
    code: /^IMAGES_DISK_FULL$/,
  },
];

export function surviveRoundsFaults(faults: readonly Fault[]): Promise<void> {
  return surviveAll(faults, { app: { memoryMib: 16 }, imagesMib: IMAGES_MIB });
}
