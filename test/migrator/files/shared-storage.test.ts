import t from 'tap';
import { fileSystemOf } from '../../../migrator/files/shared-storage.ts';

const MOUNTINFO = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:50 / /srv rw shared:20 master:3 - nfs4 10.0.0.9:/srv rw,vers=4.2
41 40 8:2 / /srv/local rw - xfs /dev/sdb1 rw
42 22 0:51 / /mnt/two\\040words rw - cifs //nas/share rw
43 22 0:52 / /over rw - ext4 /dev/sdc1 rw
44 22 0:53 / /over rw - fuse.glusterfs gl:/vol rw
`;

t.test('a path is on the file system that is mounted nearest above it, and there last', async (t) => {
  for (const [path, type] of [
    ['/var/lib', 'ext4'],
    ['/srv', 'nfs4'],
    ['/srv/data/deep', 'nfs4'],
    ['/srv/local/x', 'xfs'],
    ['/srvs', 'ext4'],
    ['/mnt/two words/x', 'cifs'],
    ['/over/x', 'fuse.glusterfs'],
  ] as const) {
    t.equal(fileSystemOf(path, MOUNTINFO), type, path);
  }
  t.equal(fileSystemOf('/srv', ''), undefined);
});
