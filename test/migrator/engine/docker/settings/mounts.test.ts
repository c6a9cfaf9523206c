import t from 'tap';
import { detouredMounts, strayMounts } from '../../../../../migrator/engine/docker/settings/mounts.ts';

t.test('what is mounted below a path of the host is found', async (t) => {
  const point = (Type: string, Destination: string) => ({
    ...{ Type, Destination, Source: '/x', RW: true, Propagation: '' },
  });
  const mountinfo = [
    '1 0 0:1 / / rw - overlay overlay rw',
    '2 1 0:2 / /srv rw - ext4 /dev/sda rw',
    '3 2 0:3 / /srv/nfs\\040share rw - nfs4 server:/ rw',
    '4 2 0:4 / /srv/data rw - ext4 /dev/sda rw',
    '5 1 0:5 / /srv2/x rw - tmpfs tmpfs rw',
    '6 1 0:6 / /proc/bus ro - proc proc rw',
  ].join('\n');
  t.same(strayMounts(mountinfo, [point('bind', '/srv/'), point('volume', '/srv/data')]), ['/srv/nfs share']);
});

t.test('a mount by way of a symbolic link is found: it is not where it was asked for', async (t) => {
  const mountinfo = [
    '155 137 0:46 /usr/bin/tini-static /usr/sbin/docker-init ro - overlay overlay rw',
    '156 137 0:46 / /srv/my\\040data rw - ext4 /dev/vda rw',
  ].join('\n');
  t.same(detouredMounts(mountinfo, ['/sbin/docker-init', '/srv/my data/']), ['/sbin/docker-init']);
});
