import { Step } from '../../migrator/events.ts';
import { APP } from '../system/configs.ts';
import { unwrapCriu, wrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';

const faults: Fault[] = [
  {
    name: 'the destination is cut off during the restore',
    // Long enough for the cut to come first.
    before: (scene) => wrapCriu(scene, scene.there, '! restores || sleep 1'),
    strike: { at: Step.restore, make: (scene) => scene.lab.cutLink(scene.there) },
    mend: async (scene) => {
      await scene.lab.mendLink(scene.there);
      await unwrapCriu(scene, scene.there);
    },
  },
];

await surviveAll(faults, {
  app: { memoryMib: 16 },
  gateway: ({ apps: { [APP]: app } }) => Object.assign(app ?? {}, { hold: { maxMs: 12_000 } }),
});
