import { getEventListeners } from 'node:events';
import t from 'tap';
import { within } from '../../migrator/within.ts';

t.test('what settles in time is what it was', async (t) => {
  const { signal } = new AbortController();
  t.equal(await within(Promise.resolve(3), signal), 3);
  await t.rejects(within(Promise.reject(new Error('no')), signal), { message: 'no' });
  t.same(getEventListeners(signal, 'abort'), [], 'and nothing is left with the signal');
});

t.test(
  'who waits is let go when the signal fires, and what fails afterwards is nobody’s concern',
  async (t) => {
    const late = new AbortController();
    let fail = (_: Error) => {};
    const waiting = within(new Promise((_, reject) => (fail = reject)), late.signal);
    late.abort(new Error('too late'));
    await t.rejects(waiting, { message: 'too late' });
    fail(new Error('no'));
    await t.rejects(within(Promise.reject(new Error('no')), late.signal), { message: 'too late' });
  },
);
