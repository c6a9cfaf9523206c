import { Outcome, Step, Strategy } from '../../migrator/events.ts';
import { APP } from '../system/configs.ts';
import { beforeRestore, unwrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';
import type { Scene } from './scene.ts';

/** A restore that must wait for its pages is called off after three quarters of it. */
const HOLD_MS = 14_000;

/** Something that meets a restore whose memory is still at the source, and comes before the commit. */
function duringRestore(
  strategy: Strategy,
  make: (scene: Scene) => Promise<unknown>,
  mend: (scene: Scene) => Promise<unknown> = async () => {},
) {
  return {
    strategy,
    before: beforeRestore.arrange,
    strike: {
      at: Step.restore,
      make: (scene: Scene) => beforeRestore.meet(scene, () => make(scene)),
    },
    mend: async (scene: Scene) => {
      await mend(scene);
      for (const host of scene.lab.hosts.keys()) await unwrapCriu(scene, host); // It may have moved by now.
    },
  };
}

/** What may happen to a move that leaves memory at the source, before it is committed. */
const restoreFaults = (strategy: Strategy): Fault[] => [
  {
    name: 'the agent of the source is killed during the restore',
    ...duringRestore(strategy, (scene) => scene.killAgent(scene.here)),
    outcome: Outcome.succeeded,
  },
  {
    name: 'the agent of the destination is killed during the restore',
    ...duringRestore(strategy, (scene) => scene.killAgent(scene.there)),
  },
  {
    name: 'the gateway is killed during the restore',
    ...duringRestore(strategy, (scene) => scene.killGateway()),
    frontDies: true,
    code: /^GATEWAY_RESTARTED$/,
  },
  {
    name: 'the link between the hosts is cut during the restore',
    ...duringRestore(
      strategy,
      (scene) => scene.part(),
      (scene) => scene.rejoin(),
    ),
    // Where what has changed was soon over, it needs its source no more.
    ...(strategy === Strategy.hybrid && { outcome: [Outcome.rolledBack, Outcome.succeeded] }),
  },
];

export function surviveRestoreFaults(strategy: Strategy): Promise<void> {
  return surviveAll(restoreFaults(strategy), {
    app: { memoryMib: 16 },
    gateway: ({ apps: { [APP]: app } }) => Object.assign(app ?? {}, { hold: { maxMs: HOLD_MS } }),
  });
}
