import { Step, Strategy } from '../../migrator/events.ts';
import { APP } from '../system/configs.ts';
import { midDump, unwrapCriu, wrapCriu } from './criu-wrapper.ts';
import { emptyDisks, fillDisk } from './disks.ts';
import { type Fault, surviveAll } from './faults.ts';
import type { Scene, SceneOptions, UnderWay } from './scene.ts';

/** For long enough that a destination which cannot be asked has ended by itself while requests are held. */
const HOLD_MS = 14_000;
const IMAGES_MIB = 192;
const THERE = /^the (restore|link|disk) .*destination/;

/** CRIU reads far into the checkpoint before it finds out. */
const DAMAGE = '! restores || for f in /run/holdfast/images/*/core-*.img; do truncate -s 100 $f; done';

interface Moment {
  readonly before: (scene: Scene) => Promise<void>;
  readonly at: Step;
  readonly meet: (scene: Scene, id: string, make: () => Promise<unknown>) => Promise<void>;
  readonly after: (scene: Scene) => Promise<void>;
}

/** Where all memory is sent in the freeze, half of the checkpoint is at the destination. */
const halfSent: Moment = {
  before: (scene) => scene.slow(scene.there),
  at: Step.send,
  async meet(scene, id, make) {
    await scene.imagesOn(scene.there, id);
    await make();
  },
  after: (scene) => scene.fast(scene.there),
};

/** Where it is not, the rest is sent before one could look: the checkpoint is being written and sent. */
const halfWritten: Moment = {
  before: midDump.arrange,
  at: Step.dump,
  meet: (scene, _id, make) => midDump.meet(scene, make),
  after: (scene) => unwrapCriu(scene, scene.here),
};

const transferOf = (strategy: Strategy): Moment =>
  strategy === Strategy.stopAndCopy ? halfSent : halfWritten;

/** What must not harm an app, by whichever strategy it is moved. */
function sixFaults(strategy: Strategy): Fault[] {
  const { before, at, meet, after } = transferOf(strategy);
  const duringTransfer = (
    make: (scene: Scene) => Promise<unknown>,
    mend: (scene: Scene) => Promise<unknown> = async () => {},
  ) => ({
    before,
    strike: { at, make: (scene: Scene, { id }: UnderWay) => meet(scene, id, () => make(scene)) },
    mend: async (scene: Scene) => {
      await mend(scene);
      await after(scene);
    },
  });
  return [
    {
      name: 'the restore fails at the destination',
      before: (scene) => wrapCriu(scene, scene.there, DAMAGE),
      mend: (scene) => unwrapCriu(scene, scene.there),
      code: /^RESTORE_FAILED$/,
    },
    {
      name: 'the agent of the destination is killed during the transfer',
      ...duringTransfer((scene) => scene.system.agent(scene.there).kill()),
      code: /^LINK_BROKEN$/,
    },
    {
      name: 'the link of the destination is cut during the transfer',
      ...duringTransfer(
        (scene) => scene.lab.cutLink(scene.there),
        (scene) => scene.lab.mendLink(scene.there),
      ),
      code: /^LINK_STALLED$/,
    },
    {
      name: 'the agent of the source is killed while the app is frozen',
      ...duringTransfer((scene) => scene.killAgent(scene.here)),
      code: /^AGENT_UNREACHABLE$/,
    },
    {
      name: 'the gateway is killed while the app is frozen',
      ...duringTransfer((scene) => scene.killGateway()),
      frontDies: true,
      code: /^GATEWAY_RESTARTED$/,
    },
    {
      name: 'the disk for the images is full at the destination',
      ...duringTransfer((scene) => fillDisk(scene, scene.there), emptyDisks),
      code: /^IMAGES_DISK_FULL$/,
    },
    {
      name: 'the disk for the images is full at the source',
      before: (scene) => fillDisk(scene, scene.here),
      mend: emptyDisks,
      code: /^IMAGES_DISK_FULL$/,
    },
  ];
}

const SCENE: SceneOptions = {
  app: { memoryMib: 16 },
  imagesMib: IMAGES_MIB,
  gateway: ({ apps: { [APP]: app } }) => Object.assign(app ?? {}, { hold: { maxMs: HOLD_MS } }),
};

type Open = (options: SceneOptions) => Promise<Scene>;

const faultsBy = (strategy: Strategy): Fault[] =>
  sixFaults(strategy).map((fault) => ({ ...fault, strategy }));

/** @param open a scene of another engine than runc */
export function surviveSixFaults(strategy: Strategy, open?: Open): Promise<void> {
  return surviveAll(faultsBy(strategy), SCENE, open);
}

/** Those that meet the destination's host or link, each by one of the strategies in turn: all by each would take minutes. */
export function surviveFaultsThere(strategies: readonly Strategy[], open: Open): Promise<void> {
  const turns = strategies.map((strategy) => faultsBy(strategy).filter(({ name }) => THERE.test(name)));
  const faults = (turns[0] ?? []).flatMap((_, nth) => turns[nth % turns.length]?.[nth] ?? []);
  return surviveAll(faults, SCENE, open);
}
