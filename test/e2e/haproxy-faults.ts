import { Outcome, Step } from '../../migrator/events.ts';
import { type Edition, editions, type Haproxy } from '../haproxy/haproxy.ts';
import { beforeRestore, midDump, unwrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';
import { Rewriting } from './rewriting.ts';
import type { Scene } from './scene.ts';

/** What HAProxy goes through. */
export interface Ordeal {
  /** Goes on from "HAProxy is ". */
  readonly name: string;
  readonly make: (haproxy: Haproxy) => Promise<void>;
  /** It has the users' connections. */
  readonly dies: boolean;
}

/** So that memory is not sent ahead before HAProxy is back. */
const SLOW = '50mbit';

/** The HAProxy of the lab's hosts, or `undefined` where there is no lab: whoever wants to use it skips then. */
export async function hostsEdition(): Promise<Edition | undefined> {
  const found = await editions();
  return typeof found === 'string' ? undefined : found[1];
}

/** In each phase of a move, one after the other under load. */
export async function surviveInEachPhase(ordeal: Ordeal): Promise<void> {
  const edition = await hostsEdition();
  await surviveAll(phases(ordeal), {
    app: { memoryMib: 16 },
    haproxys: edition === undefined ? [] : [edition],
  });
}

function phases({ name, make, dies }: Ordeal): Fault[] {
  const ordeal = async (scene: Scene) => {
    const [haproxy] = scene.system.haproxys.all;
    if (haproxy === undefined) throw new Error('there is no HAProxy in front');
    await make(haproxy);
  };
  const at = (step: Step, meet: (scene: Scene) => Promise<void> = ordeal) => ({
    strike: { at: step, make: meet },
    frontDies: dies,
    frontIsBack: dies,
  });
  const succeeds = { outcome: Outcome.succeeded };
  // HAProxy may be away when it is to confirm the hold: then nothing is touched.
  const maySucceed = { outcome: [Outcome.succeeded, Outcome.rolledBack], code: /^HAPROXY_/ };
  let rewriting: Rewriting | undefined;
  return [
    {
      ...at(Step.preCopy),
      ...maySucceed,
      name: `HAProxy is ${name} while memory is sent ahead`,
      before: (scene) => scene.slow(scene.there, SLOW),
      mend: (scene) => scene.lab.setLink({}),
    },
    {
      ...at(Step.hold, async (scene) => {
        await ordeal(scene);
        rewriting?.end();
      }),
      ...maySucceed,
      name: `HAProxy is ${name} while requests drain`,
      before: async (scene) => {
        rewriting = await Rewriting.begin(scene.system.url);
      },
    },
    {
      ...at(Step.dump, (scene) => midDump.meet(scene, () => ordeal(scene))),
      ...succeeds,
      name: `HAProxy is ${name} while the app is frozen`,
      before: midDump.arrange,
      mend: unwrapBoth,
    },
    {
      ...at(Step.restore, (scene) => beforeRestore.meet(scene, () => ordeal(scene))),
      ...succeeds,
      name: `HAProxy is ${name} while the app is restored`,
      before: beforeRestore.arrange,
      mend: unwrapBoth,
    },
    { ...at(Step.release), ...succeeds, name: `HAProxy is ${name} while requests are let go` },
    { ...at(Step.cleanup), ...succeeds, name: `HAProxy is ${name} while the source is cleaned up` },
  ];
}

async function unwrapBoth(scene: Scene): Promise<void> {
  for (const host of [scene.here, scene.there]) await unwrapCriu(scene, host);
}
