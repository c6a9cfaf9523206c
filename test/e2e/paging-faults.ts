import { Outcome, Step, type Strategy } from '../../migrator/events.ts';
import { AGENT_PORT } from '../system/configs.ts';
import { type Fault, type Strike, surviveAll } from './faults.ts';
import { Rewriting } from './rewriting.ts';
import { eventually, type Scene, type UnderWay } from './scene.ts';

/**
 * Pages are still at the source when the app has been released at the destination: at the freeze all of them have
 * changed, and from there on the link is slow, and yet fast enough for the health check.
 */
export function lingering(): { before: (scene: Scene) => Promise<void>; strike: Strike[] } {
  let rewriting: Rewriting | undefined;
  return {
    before: async (scene) => {
      rewriting = await Rewriting.begin(scene.system.url);
    },
    strike: [
      { at: Step.hold, make: async () => rewriting?.end() },
      { at: Step.freeze, make: (scene) => scene.slow(scene.here, '40mbit') },
    ],
  };
}

/** While the destination lives of its source. */
export function whilePaging(make: (scene: Scene, underWay: UnderWay) => Promise<void>): Strike {
  return {
    at: Step.pageIn,
    make: async (scene, underWay) => {
      const phase = scene.phaseOn(scene.there, underWay.id);
      if (phase !== 'paging') throw new Error(`the destination is ${phase}: no page is missing`);
      await make(scene, underWay);
    },
  };
}

/** The link must be as it was before anything else is tried. */
async function andOn(scene: Scene): Promise<void> {
  await scene.fast(scene.here);
}

function paging(strategy: Strategy, make: (scene: Scene, underWay: UnderWay) => Promise<void>) {
  const { before, strike } = lingering();
  return {
    strategy,
    outcome: Outcome.succeeded,
    before,
    strike: [...strike, whilePaging((scene, underWay) => make(scene, underWay).then(() => andOn(scene)))],
  };
}

/** What may happen to the two hosts while the app lives of both, and is got over. */
export function hostFaults(strategy: Strategy): Fault[] {
  return [
    {
      name: 'the link between the hosts is cut while pages come, and mended',
      ...paging(strategy, async (scene) => {
        const source = `${scene.host(scene.here).address}:${AGENT_PORT}`;
        const connections = async () =>
          Number(await scene.sh(scene.there, `ss -Htn state established dst ${source} | wc -l`));
        const before = await connections();
        await scene.part();
        // Not all of them: on one that nothing is asked on, a cut is not noticed.
        await eventually(
          'the destination to give up a connection to the source',
          async () => (await connections()) < before,
        );
        await scene.rejoin();
      }),
    },
    {
      name: 'the agent of the source is killed while pages come',
      ...paging(strategy, (scene) => scene.killAgent(scene.here)),
    },
    {
      name: 'the agent of the destination is killed while pages come',
      ...paging(strategy, (scene) => scene.killAgent(scene.there)),
    },
  ];
}

/** What may happen to the gateway meanwhile, and to the source after it. */
export function otherFaults(strategy: Strategy): Fault[] {
  return [
    {
      name: `the gateway is killed while pages come, ${strategy}`,
      ...paging(strategy, (scene) => scene.killGateway()),
      frontDies: true,
    },
    {
      name: `the source is killed for good after the last page, ${strategy}`,
      strategy,
      outcome: Outcome.succeeded,
      strike: {
        at: Step.cleanup,
        make: async (scene) => {
          await scene.system.agent(scene.here).kill({ restart: false });
          await scene.killApp(scene.here);
        },
      },
      mend: (scene) => scene.system.agent(scene.there).start({ supervise: true }),
    },
  ];
}

export function survivePagingFaults(faults: readonly Fault[]): Promise<void> {
  return surviveAll(faults, { app: { memoryMib: 48 } });
}
