import { Step, Strategy } from '../../migrator/events.ts';
import { type Fault, surviveAll } from './faults.ts';
import type { Scene } from './scene.ts';

/** Die when a step begins, and come back. */
const killedAt = (at: Step) => ({
  strike: { at, make: (scene: Scene) => scene.killGateway() },
  gatewayDies: true,
});
const code = /^GATEWAY_RESTARTED$/;

const faults: Fault[] = [
  { ...killedAt(Step.hold), name: 'the gateway is killed while its gate closes', code },
  { ...killedAt(Step.dump), name: 'the gateway is killed while the app is frozen', code },
  {
    ...killedAt(Step.send),
    name: 'the gateway is killed during the transfer',
    before: (scene) => scene.slow(scene.there),
    strategy: Strategy.stopAndCopy,
    mend: (scene) => scene.fast(scene.there),
    code,
  },
  { ...killedAt(Step.healthCheck), name: 'the gateway is killed during the health check', code },
  { ...killedAt(Step.commit), name: 'the gateway is killed during the commit', outcome: 'succeeded' },
];

await surviveAll(faults, { app: { memoryMib: 16 } });
