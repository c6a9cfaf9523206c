import { Step, Strategy } from '../../migrator/events.ts';
import { type Fault, surviveAll } from './faults.ts';
import type { Scene } from './scene.ts';

const IMAGES_MIB = 128;
const FILLER = '/run/holdfast/filler';

/** Leave so much room where the images go. */
const fill = async (scene: Scene, host: string, leaveBytes: number): Promise<void> => {
  const some = `free=$(($(stat -f -c '%a * %S' /run/holdfast))); fallocate -l $((free - ${leaveBytes})) ${FILLER}`;
  // Others write there too: what was free a moment ago need not be so now.
  const all = `cat /dev/zero >${FILLER} 2>/dev/null || true`;
  await scene.sh(host, leaveBytes === 0 ? all : some);
};

const empty = (scene: Scene) =>
  Promise.all([...scene.lab.hosts.keys()].map((host) => scene.sh(host, `rm -f ${FILLER}`))).then(() => {});

/** The destination gets the app's memory; what CRIU writes at the source is everything else. */
const TOO_LITTLE = { destination: 4 << 20, source: 256 << 10 };

const faults: Fault[] = [TOO_LITTLE, { destination: 0, source: 0 }].flatMap((leave) => {
  const little = leave.source > 0 ? 'too little room' : 'no room at all';
  return [
    {
      name: `there is ${little} for the images at the destination`,
      strategy: Strategy.stopAndCopy, // What is sent ahead would be there by then, and the rest be small enough.
      strike: { at: Step.hold, make: (scene) => fill(scene, scene.there, leave.destination) },
      mend: empty,
      code: /^IMAGES_DISK_FULL$/,
    },
    {
      name: `there is ${little} for the dump at the source`,
      before: (scene) => fill(scene, scene.here, leave.source),
      mend: empty,
      code: /^IMAGES_DISK_FULL$/,
    },
  ] satisfies Fault[];
});

await surviveAll(faults, { app: { memoryMib: 16 }, imagesMib: IMAGES_MIB });
