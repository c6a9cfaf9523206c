import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pathInside } from '../../../../migrator/engine/oci/inside-root.ts';

t.test('a path inside a root file system leads where it does for a process in there', async (t) => {
  const root = t.testdir();
  mkdirSync(join(root, 'run/app'), { recursive: true });
  mkdirSync(join(root, 'var'));
  symlinkSync('/run', join(root, 'var/run'));
  symlinkSync('../../../../../run/app', join(root, 'var/far'));
  symlinkSync('loop', join(root, 'loop'));
  t.equal(pathInside(root, '/srv'), '/srv', 'it need not be there');
  t.equal(pathInside(root, '/run//app/./x/'), '/run/app/x');
  t.equal(pathInside(root, '/var/run/app'), '/run/app', 'a link is followed from the root on');
  t.equal(pathInside(root, '/var/far/x'), '/run/app/x', 'nothing leads out of it');
  t.equal(pathInside(root, '/run/../..'), '/');
  t.equal(pathInside(root, '/loop/x'), '/loop/x', 'links that go round in circles end');
});
