import t from 'tap';
import { compareVersions, oldestCriu } from '../../../migrator/criu/version.ts';

t.test('versions are compared number by number', async (t) => {
  t.ok(compareVersions('4.10', '4.2') > 0);
  t.ok(compareVersions('4.1.1', '4.2') < 0);
  t.equal(compareVersions('4.2', '4.2.0'), 0);
  t.ok(compareVersions('6.18.44-rc1', '6.16') > 0);
});

t.test('the oldest CRIU depends on the kernel', async (t) => {
  t.equal(oldestCriu('6.1.0-13-amd64'), '3.18');
  t.equal(oldestCriu('6.15.9'), '3.18');
  t.equal(oldestCriu('6.16.0'), '4.2');
  t.equal(oldestCriu('7.0'), '4.2');
});
