import t from 'tap';
import { fromErrorBody, HoldfastError, toErrorBody } from '../../migrator/errors.ts';

t.test(
  'an error keeps its code, its mend and whether it can be retried across a process border',
  async (t) => {
    const error = new HoldfastError('DISK_FULL', 'no room for the images', {
      mend: 'free 1 GiB',
      retryable: true,
    });
    const copy = fromErrorBody(toErrorBody(error));
    t.equal(copy.code, 'DISK_FULL');
    t.equal(copy.mend, 'free 1 GiB');
    t.equal(copy.retryable, true);
  },
);

t.test('an unknown error crosses as INTERNAL', async (t) => {
  t.equal(toErrorBody(new TypeError('boom')).code, 'INTERNAL');
});
