import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Reserve } from '../../../migrator/agent/reserve.ts';

const MIB = 1024 * 1024;
const FDS = '/proc/self/fd';
const NAMELESS = /^\/dev\/shm\/holdfast-.* \(deleted\)$/;

/** The sizes of what this process has set aside under no name, in memory that is really taken. */
function setAside(): number[] {
  return readdirSync(FDS).flatMap((fd) => {
    const path = join(FDS, fd);
    try {
      return NAMELESS.test(readlinkSync(path)) ? [statSync(path).blocks * 512] : [];
    } catch {
      return []; // Closed by now: the one that lists them, for instance.
    }
  });
}

const skip = existsSync('/dev/shm') ? false : 'no /dev/shm';

t.test(
  'memory is set aside until it is given back, under no name: it ends with the process at the latest',
  { skip },
  async (t) => {
    const reserve = new Reserve(3 * MIB + 4096);
    await reserve.filled();
    t.same(setAside(), [3 * MIB + 4096]);
    await reserve.release();
    t.same(setAside(), []);
  },
);

t.test('it can be given back before all is set aside, and more than once', { skip }, async (t) => {
  const reserve = new Reserve(1024 * MIB);
  await reserve.release();
  await reserve.release();
  t.same(setAside(), []);
});
