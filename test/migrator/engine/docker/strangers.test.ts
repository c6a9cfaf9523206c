import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { strangersIn } from '../../../../migrator/engine/docker/strangers.ts';

/** A shell with a child and a grandchild; gone when the test ends. */
async function family(t: Test): Promise<{ first: number; all: number[] }> {
  const script = `sh -c 'sleep 600 & echo $!; wait' & echo $!; wait`;
  const shell = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const first = shell.pid ?? 0;
  t.teardown(() => process.kill(-first, 'SIGKILL'));
  const said: number[] = [];
  shell.stdout?.setEncoding('utf8');
  for await (const text of shell.stdout ?? []) {
    said.push(...String(text).split('\n').filter(Boolean).map(Number));
    if (said.length === 2) break;
  }
  return { first, all: [first, ...said] };
}

async function alone(t: Test): Promise<{ pid: number; child: ChildProcess }> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  return { pid: child.pid ?? 0, child };
}

const cgroupOf = (...pids: number[]) => ({ pids: async () => pids });

t.test('children of children are no strangers, and who was put beside them is one', async (t) => {
  const { first, all } = await family(t);
  const { pid } = await alone(t);
  t.equal(all.length, 3);
  t.same(await strangersIn(cgroupOf(...all), first), []);
  t.same(await strangersIn(cgroupOf(...all, pid), first), [pid]);
});

t.test('children of any thread are no strangers', async (t) => {
  const script = `
    const { Worker } = require('node:worker_threads');
    new Worker(\`const { spawn } = require('node:child_process');
      process.stdout.write(String(spawn('sleep', ['600'], { stdio: 'ignore' }).pid));
      setInterval(() => {}, 1e6);\`, { eval: true });`;
  const node = spawn(process.execPath, ['-e', script], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const first = node.pid ?? 0;
  t.teardown(() => process.kill(-first, 'SIGKILL'));
  const [said] = (await once(node.stdout, 'data')) as [Buffer];
  const child = Number(said);
  t.ok(child > 0);
  t.same(await strangersIn(cgroupOf(first, child), first), []);
});

t.test('who has ended and was not noticed by his parent yet is nobody', async (t) => {
  const { first } = await family(t);
  // Its shell waits for another child first.
  const parent = spawn('sh', ['-c', 'sh -c "exit 0" & echo $!; exec sleep 600'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => process.kill(-(parent.pid ?? 0), 'SIGKILL'));
  const [said] = (await once(parent.stdout, 'data')) as [Buffer];
  const ended = Number(said);
  const until = AbortSignal.timeout(10_000);
  while (!/^State:\s+Z/m.test(await readFile(`/proc/${ended}/status`, 'utf8'))) until.throwIfAborted();
  t.same(await strangersIn(cgroupOf(first, ended), first), []);
});
