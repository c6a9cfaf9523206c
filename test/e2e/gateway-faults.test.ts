import { Step } from '../../migrator/events.ts';
import { type Fault, surviveAll } from './faults.ts';
import type { Scene } from './scene.ts';

/** Die when a step begins, and come back. */
const killedAt = (at: Step) => ({
  strike: { at, make: (scene: Scene) => scene.killGateway() },
  frontDies: true,
});
const code = /^GATEWAY_RESTARTED$/;

const faults: Fault[] = [
  { ...killedAt(Step.hold), name: 'the gateway is killed while its gate closes', code },
  {
    ...killedAt(Step.healthCheck),
    name: 'the gateway is killed during the health check',
    // Which lasts until then: an agent asks its apps after their health on loopback.
    before: (scene) => scene.sh(scene.there, 'ip link set lo down').then(() => {}),
    mend: (scene) => scene.sh(scene.there, 'ip link set lo up').then(() => {}),
    code,
  },
  { ...killedAt(Step.commit), name: 'the gateway is killed during the commit', outcome: 'succeeded' },
];

await surviveAll(faults, { app: { memoryMib: 16 } });
