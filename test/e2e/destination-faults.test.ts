import { Step, Strategy } from '../../migrator/events.ts';
import { unwrapCriu, wrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';
import type { Scene } from './scene.ts';

/** A directory the app mounts, on both hosts. */
const EXTRA = '/srv/extra';
const unwrap = (scene: Scene) => unwrapCriu(scene, scene.there);
/** An agent asks its apps after their health on loopback. */
const loopbackDown = (scene: Scene) => scene.sh(scene.there, 'ip link set lo down').then(() => {});
const loopbackUp = (scene: Scene) => scene.sh(scene.there, 'ip link set lo up').then(() => {});

const faults: Fault[] = [
  {
    name: 'a directory it mounts vanishes before the restore',
    strike: {
      at: Step.hold,
      make: async (scene) => void (await scene.sh(scene.there, `rmdir ${EXTRA}`)),
    },
    mend: async (scene) => void (await scene.sh(scene.there, `mkdir ${EXTRA}`)),
  },
  {
    name: 'CRIU can no longer be run at the destination',
    strike: {
      at: Step.hold,
      make: async (scene) => void (await scene.sh(scene.there, 'chmod 0 /usr/sbin/criu')),
    },
    mend: async (scene) => void (await scene.sh(scene.there, 'chmod 755 /usr/sbin/criu')),
    code: /^RESTORE_FAILED$/,
  },
  {
    name: 'the page images are cut short before the restore',
    strategy: Strategy.stopAndCopy,
    strike: {
      at: Step.hold,
      make: (scene) =>
        wrapCriu(
          scene,
          scene.there,
          'for f in /run/holdfast/images/*/pages-*.img; do truncate -s 1M $f; done',
        ),
    },
    mend: unwrap,
    code: /^RESTORE_FAILED$/,
  },
  {
    name: 'the agent of the destination is killed during the restore',
    before: (scene) => wrapCriu(scene, scene.there, '! restores || { touch /run/restoring; sleep 30; }'),
    strike: {
      at: Step.restore,
      make: async (scene) => {
        await scene.sh(scene.there, 'until [ -e /run/restoring ]; do sleep 0.01; done; rm /run/restoring');
        await scene.system.agent(scene.there).kill();
      },
    },
    mend: unwrap,
  },
  {
    name: 'it does not come to health at the destination',
    strike: { at: Step.hold, make: loopbackDown },
    mend: loopbackUp,
    code: /^HEALTH_CHECK_FAILED$/,
  },
  {
    name: 'the agent of the destination is killed during the health check',
    // Which thereby lasts until then.
    before: loopbackDown,
    strike: { at: Step.healthCheck, make: (scene) => scene.system.agent(scene.there).kill() },
    mend: loopbackUp,
    code: /^AGENT_UNREACHABLE$/,
  },
];

await surviveAll(faults, {
  app: { memoryMib: 16 },
  agent: (settings) => {
    for (const container of Object.values(settings.containers)) {
      const mounts = container.mounts as object[];
      container.mounts = [...mounts, { source: EXTRA, destination: '/mnt', readOnly: true }];
    }
  },
  prepareHost: `mkdir -p ${EXTRA}`,
});
