import { Step } from '../../migrator/events.ts';
import { midDump, unwrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';
import { eventually } from './scene.ts';

const faults: Fault[] = [
  {
    name: 'the agent of the source is killed with CRIU at work',
    before: midDump.arrange,
    strike: {
      at: Step.dump,
      make: (scene, { id }) =>
        midDump.meet(scene, async () => {
          const { here } = scene;
          await scene.killAgent(here);
          await eventually('the thaw to be asked for', () => scene.phaseOn(here, id) === 'thawing');
          const [instance] = await scene.instances();
          const tracer = await scene.sh(here, `sed -n 's/^TracerPid:\\s*//p' /proc/${instance?.pid}/status`);
          const phase = scene.phaseOn(here, id);
          if (tracer === '0' || phase !== 'thawing') throw new Error(`CRIU was not waited for: ${phase}`);
        }),
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
