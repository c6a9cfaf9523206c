import { Step, Strategy } from '../../migrator/events.ts';
import { unwrapCriu, wrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';

const faults: Fault[] = [
  {
    name: 'a page of the checkpoint is damaged before the restore, and memory is compared',
    strategy: Strategy.stopAndCopy,
    verify: true,
    strike: {
      at: Step.hold,
      make: (scene) =>
        wrapCriu(
          scene,
          scene.there,
          'for f in /run/holdfast/images/*/pages-1.img; do printf damaged | dd of=$f bs=1 seek=8388608 conv=notrunc; done',
        ),
    },
    mend: (scene) => unwrapCriu(scene, scene.there),
    code: /^MEMORY_DIFFERS$/,
  },
  {
    name: 'the agent of the destination is killed while memory is compared',
    verify: true,
    strike: { at: Step.verify, make: (scene) => scene.system.agent(scene.there).kill() },
  },
];

await surviveAll(faults, { app: { memoryMib: 16 } });
