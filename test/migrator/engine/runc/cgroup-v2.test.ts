import { fileURLToPath } from 'node:url';
import t from 'tap';
import { whyNoLab } from '../../../lab/needs-lab.ts';

/** In a mount namespace of its own the one hierarchy of version 2 takes the place of whatever the machine has. */
const ONLY_V2 = 'umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"';

const skip = await whyNoLab();
t.test('containers on cgroup v2', { skip, timeout: 120_000 }, async (t) => {
  const program = fileURLToPath(new URL('fixtures/on-cgroup-v2.ts', import.meta.url));
  const namespace = ['--mount', '--propagation', 'private', 'sh', '-c', ONLY_V2, 'sh'];
  await t.spawn('unshare', [...namespace, process.execPath, '--import', 'tsx', program]);
});
