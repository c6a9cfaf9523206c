import { Step, Strategy } from '../../migrator/events.ts';
import { unwrapCriu, wrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';
import { eventually } from './scene.ts';

/** CRIU stops itself once there are page images, so that the thaw surely comes before its end. */
const STOP_IN_THE_MIDDLE = `[ "$1" != swrk ] || (
  until set -- /run/holdfast/images/*/pages-1.img && [ -e "$1" ]; do :; done
  kill -STOP $$
) >/dev/null 2>&1 &`;

const faults: Fault[] = [
  {
    name: 'the agent of the source is killed while the app is frozen',
    before: (scene) => scene.slow(scene.there),
    strategy: Strategy.stopAndCopy,
    strike: {
      at: Step.send,
      make: async (scene, { id }) => {
        await scene.imagesOn(scene.there, id);
        await scene.system.agent(scene.here).kill();
      },
    },
    mend: (scene) => scene.fast(scene.there),
    code: /^AGENT_UNREACHABLE$/,
  },
  {
    name: 'the agent of the source is killed with CRIU at work',
    before: (scene) => wrapCriu(scene, scene.here, STOP_IN_THE_MIDDLE),
    strike: {
      at: Step.dump,
      make: async (scene, { id }) => {
        const { here } = scene;
        await scene.sh(
          here,
          'until grep -qs "^State:.T" /proc/$(pgrep -xo criu)/status; do sleep 0.01; done',
        );
        await scene.killAgent(here);
        await eventually('the thaw to be asked for', () => scene.phaseOn(here, id) === 'thawing');
        const [instance] = await scene.instances();
        const tracer = await scene.sh(here, `sed -n 's/^TracerPid:\\s*//p' /proc/${instance?.pid}/status`);
        const phase = scene.phaseOn(here, id);
        if (tracer === '0' || phase !== 'thawing') throw new Error(`CRIU was not waited for: ${phase}`);
        await scene.sh(here, 'pkill -CONT -x criu');
      },
    },
    mend: (scene) => unwrapCriu(scene, scene.here),
    code: /^AGENT_UNREACHABLE$/,
  },
  {
    name: 'the agent of the source is killed while the gate closes',
    strike: {
      at: Step.hold,
      make: (scene) => scene.killAgent(scene.here),
    },
  },
  {
    name: 'the agent of the source is killed before it hears that the move is done',
    strike: {
      at: Step.commit,
      make: (scene) => scene.killAgent(scene.here),
    },
    outcome: 'succeeded',
  },
];

await surviveAll(faults, { app: { memoryMib: 32 } });
