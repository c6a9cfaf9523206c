import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { isForking } from '../../../../migrator/engine/oci/forks.ts';
import { vforkThen } from './vfork.ts';

const skip = process.platform === 'linux' ? false : 'needs Linux';
const DEADLINE_MS = 10_000;

async function started(t: Test, script: string): Promise<ChildProcess & { pid: number }> {
  const child = spawn('perl', ['-e', `$| = 1; print "here\n"; ${script}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: DEADLINE_MS,
  });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  if (child.pid === undefined) throw new Error('perl was not started');
  return Object.assign(child, { pid: child.pid });
}

/** Settles when it does; the deadline of the process bounds it. */
async function forking(child: ChildProcess & { pid: number }): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    if (isForking([child.pid])) return true;
    await new Promise(setImmediate);
  }
  return false;
}

async function asleep(pid: number): Promise<void> {
  while (readFileSync(`/proc/${pid}/wchan`, 'utf8') === '0') await new Promise(setImmediate);
}

t.test('a process that waits for the child of its vfork is told from one that waits', { skip }, async (t) => {
  const waits = await started(t, '<STDIN>');
  await asleep(waits.pid);
  t.equal(isForking([waits.pid]), false);
  const forks = await started(t, vforkThen('<STDIN>'));
  t.ok(await forking(forks));
  t.equal(isForking([waits.pid, forks.pid]), true);
});

t.test('it is over when the child has ended', { skip }, async (t) => {
  const forks = await started(t, `${vforkThen('<STDIN>')} print "over\n"; <STDIN>`);
  t.ok(await forking(forks));
  const over = once(forks.stdout as NodeJS.ReadableStream, 'data');
  forks.stdin?.write('go on\n');
  await over;
  t.equal(isForking([forks.pid]), false);
});

t.test('a process that has ended does not fork', { skip }, async (t) => {
  const child = await started(t, 'exit');
  if (child.exitCode === null) await once(child, 'exit');
  t.equal(isForking([child.pid]), false);
});
