import { Step, Strategy } from '../../migrator/events.ts';
import { emptyDisks, fillDisk } from './disks.ts';
import { type Fault, surviveAll } from './faults.ts';

const IMAGES_MIB = 128;
/** The destination gets the app's memory; what CRIU writes at the source is everything else. */
const TOO_LITTLE_BYTES = { destination: 4 << 20, source: 256 << 10 };

const faults: Fault[] = [
  {
    name: 'there is too little room for the images at the destination',
    strategy: Strategy.stopAndCopy, // What is sent ahead would be there by then, and the rest be small enough.
    strike: {
      at: Step.hold,
      make: (scene) => fillDisk(scene, scene.there, TOO_LITTLE_BYTES.destination),
    },
    mend: emptyDisks,
    code: /^IMAGES_DISK_FULL$/,
  },
  {
    name: 'there is too little room for the dump at the source',
    before: (scene) => fillDisk(scene, scene.here, TOO_LITTLE_BYTES.source),
    mend: emptyDisks,
    code: /^IMAGES_DISK_FULL$/,
  },
];

await surviveAll(faults, { app: { memoryMib: 16 }, imagesMib: IMAGES_MIB });
