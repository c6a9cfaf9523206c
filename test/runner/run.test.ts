import t from 'tap';
import { Project } from './project.ts';

t.test('only what passed wholly is not run again, and the exit code is true', async (t) => {
  const project = new Project(t, {
    'ends-with-1': "t.pass(); process.on('exit', () => { process.exitCode = 1; });",
    passes: "t.test('inside', async (t) => t.pass())",
    skips: "t.pass(); t.test('a part', async (t) => t.pass('of it', { skip: 'not here' }))",
    todo: "t.pass(); t.todo('the rest')",
  });
  const first = await project.test();
  t.same(first, { ran: ['ends-with-1', 'passes', 'skips', 'todo'], said: '', exitCode: 1 });
  const second = await project.test();
  t.same(second.ran, ['ends-with-1', 'skips', 'todo']);
  t.match(
    second.said,
    /1 of 4 test files passed before .* are not run again \(npm test -- --all runs them\)/,
  );
  t.match(second.said, /tap's figures are of 3 test files; 1 passed before\n$/);
  t.equal(second.exitCode, 1);
});

t.test('where all passed, nothing is run but what is asked for', async (t) => {
  const project = new Project(t, { one: 't.pass()' });
  const isRun = { ran: ['one'], said: '', exitCode: 0 };
  t.same(await project.test(), isRun);
  t.match(await project.test(), { ran: [], said: /1 of 1 test files passed before/, exitCode: 0 });
  t.same(await project.test(['test/one.mjs']), isRun, 'a file that is named');
  t.same(await project.test(['--all']), isRun, 'all');
  t.same(await project.test([], { CI: 'true' }), isRun, 'all of it in CI');
});
