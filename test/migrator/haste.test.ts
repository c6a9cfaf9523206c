import { execFile, spawn } from 'node:child_process';
import { getPriority, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { goFirst, hastily, leisurely, prepareHaste, slowDown } from '../../migrator/haste.ts';

const run = promisify(execFile);

/** The haste goes on for a moment, for what may follow. */
async function untilItIsOver(): Promise<void> {
  while (getPriority() < 0) await sleep(5);
}

async function niceOfProgram(): Promise<number> {
  return Number((await run('nice')).stdout);
}

t.test('preparing collects what nobody holds any more', async (t) => {
  const held = { bytes: Buffer.allocUnsafeSlow(1024) };
  const dropped = (() => new WeakRef(Buffer.allocUnsafeSlow(1024)))();
  await new Promise(setImmediate); // A new reference holds until the end of the turn it was made in.
  const kept = new WeakRef(held.bytes);
  await new Promise(setImmediate);
  prepareHaste();
  t.equal(dropped.deref(), undefined);
  t.equal(kept.deref(), held.bytes);
});

const skip = process.getuid?.() === 0 ? false : 'only root may go before others';

t.test('what is done hastily goes before others, and what it starts does', { skip }, async (t) => {
  await hastily(async () => {
    t.ok(getPriority() < 0);
    t.ok((await niceOfProgram()) < 0);
  });
  t.ok(getPriority() < 0, 'and so does what follows at once');
  await hastily(async () => t.ok(getPriority() < 0));
  await untilItIsOver();
  t.equal(await niceOfProgram(), 0);
});

t.test('what is started meanwhile and outlives it does not', { skip }, async (t) => {
  await hastily(async () => {
    const started = leisurely(niceOfProgram);
    t.ok(getPriority() < 0, 'the haste goes on');
    t.equal(await started, 0);
  });
  await untilItIsOver();
  t.equal(await leisurely(niceOfProgram), 0);
});

t.test('who goes first for good may start what does not', { skip }, async (t) => {
  t.teardown(() => setPriority(0));
  goFirst();
  t.equal(await leisurely(niceOfProgram), 0);
  t.ok((await niceOfProgram()) < 0);
});

t.test('what was started in haste can be slowed down', { skip }, async (t) => {
  t.teardown(() => setPriority(0));
  goFirst();
  const { pid = 0 } = spawn('sleep', ['60'], { stdio: 'ignore' });
  t.teardown(() => process.kill(pid));
  t.ok(getPriority(pid) < 0);
  slowDown(pid);
  t.equal(getPriority(pid), 0);
});

t.test('two at once go first until both are done, whether they succeed or fail', { skip }, async (t) => {
  let end = () => {};
  const first = hastily(() => new Promise<void>((resolve) => (end = resolve)));
  const second = hastily(() => Promise.reject(new Error('in vain')));
  await t.rejects(second, { message: 'in vain' });
  t.ok(getPriority() < 0);
  end();
  await first;
  await untilItIsOver();
  t.equal(await niceOfProgram(), 0);
});

t.test('what succeeds gives what it made', async (t) => {
  t.equal(await hastily(async () => 'made'), 'made');
});
