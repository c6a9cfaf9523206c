import { readdirSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { PassedFiles } from './passed.ts';

t.test('what has passed is known to the next run in the same state, and in no other', async (t) => {
  const dir = path.join(t.testdir(), 'passed');
  const first = new PassedFiles(dir, 'one');
  t.ok(first.isEmpty);
  t.notOk(first.has('test/a.test.ts'), 'at first nothing is known');
  first.add('test/a.test.ts');
  t.ok(first.has('test/a.test.ts'));
  t.ok(new PassedFiles(dir, 'one').has('test/a.test.ts'));
  t.notOk(new PassedFiles(dir, 'one').has('test/b.test.ts'));
  t.notOk(new PassedFiles(dir, 'two').has('test/a.test.ts'));
});

t.test('two runs at once both add to it', async (t) => {
  const dir = t.testdir();
  const [one, two] = [new PassedFiles(dir, 'state'), new PassedFiles(dir, 'state')];
  one.add('a');
  two.add('b');
  one.add('c');
  const all = new PassedFiles(dir, 'state');
  t.ok(['a', 'b', 'c'].every((name) => all.has(name)));
});

t.test('a line that was cut off is no file that passed', async (t) => {
  const dir = t.testdir({ state: 'test/a.test.ts\ntest/b.te' });
  const passed = new PassedFiles(dir, 'state');
  t.ok(passed.has('test/a.test.ts'));
  t.notOk(passed.has('test/b.test.ts'));
});

t.test('old states are forgotten', async (t) => {
  const dir = t.testdir();
  for (let state = 0; state < 30; state += 1) new PassedFiles(dir, `state-${state}`);
  const kept = readdirSync(dir);
  t.equal(kept.length, 10);
  t.ok(kept.includes('state-29'), 'the last one is kept');
});
