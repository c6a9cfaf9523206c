import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { type Hand, Hands, NEVER } from '../../../../migrator/engine/docker/hands.ts';

const LEAVING: Hand = {
  role: 'leaving',
  id: 'a'.repeat(64),
  restartPolicy: { Name: 'always', MaximumRetryCount: 0 },
};

t.test('what is in hand is known to whoever comes next, until it is cleared', async (t) => {
  const dir = path.join(t.testdir(), 'in-hand');
  t.equal(await new Hands(dir).get('shop'), undefined);
  await new Hands(dir).set('shop', LEAVING);
  t.same(await new Hands(dir).get('shop'), LEAVING);
  t.equal(await new Hands(dir).get('other'), undefined);
  await new Hands(dir).clear('shop');
  await new Hands(dir).clear('shop');
  t.equal(await new Hands(dir).get('shop'), undefined);
  t.same(await readdir(dir), []);
});

t.test('an arrival is in hand before it has an id', async (t) => {
  const hands = new Hands(t.testdir());
  await hands.set('shop', { role: 'arriving' });
  t.same(await hands.get('shop'), { role: 'arriving' });
  const made: Hand = { role: 'arriving', id: 'b'.repeat(64), restartPolicy: NEVER };
  await hands.set('shop', made);
  t.same(await hands.get('shop'), made);
});

t.test('nobody but root reads it', async (t) => {
  const dir = path.join(t.testdir(), 'in-hand');
  await new Hands(dir).set('shop', LEAVING);
  t.equal((await stat(dir)).mode & 0o777, 0o700);
  t.equal((await stat(path.join(dir, 'shop.json'))).mode & 0o777, 0o600);
});

t.test('what another version has written is in no hand', async (t) => {
  const dir = t.testdir();
  await writeFile(path.join(dir, 'shop.json'), JSON.stringify({ role: 'staying', id: 'c' }));
  t.equal(await new Hands(dir).get('shop'), undefined);
});
