import t from 'tap';
import { Project } from './project.ts';

t.test('an interrupted run is taken up where it stopped', async (t) => {
  const waits = `if (!existsSync('waited')) {
    writeFileSync('waited', '');
    console.error('waiting');
    await t.test('wait', () => new Promise((resolve) => setTimeout(resolve, 60_000)));
  }
  t.pass();`;
  const project = new Project(t, { '1-passes': 't.pass()', '2-waits': waits });
  const child = project.start();
  const closed = new Promise((resolve) => child.on('close', resolve));
  await new Promise((resolve) => child.stderr.once('data', resolve));
  process.kill(-(child.pid ?? 0), 'SIGINT'); // To all of them, as Ctrl-C does.
  await closed;
  t.same(project.ran(), ['1-passes', '2-waits']);
  t.match(await project.test(), { ran: ['2-waits'], said: /1 of 2 test files/, exitCode: 0 });
});

t.test('what passed while something was changed is not remembered', async (t) => {
  const project = new Project(t, { changes: "writeFileSync('new.txt', String(Math.random())); t.pass()" });
  t.match(await project.test(), { ran: ['changes'], exitCode: 0 });
  t.match(await project.test(), { ran: ['changes'], exitCode: 0 });
});
