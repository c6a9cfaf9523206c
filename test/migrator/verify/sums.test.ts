import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { type Area, ownAreas } from '../../../migrator/verify/areas.ts';
import { sumAreas } from '../../../migrator/verify/sums.ts';

const MARK = 'a mark that is nowhere else';
/** Holds the mark in memory of its own, and tells that it is ready. */
const HOLDER = `
  const held = Buffer.alloc(8 << 20, ${JSON.stringify(MARK)});
  setInterval(() => held.length, 1e6);
  console.log('ready');`;

const skip = process.platform === 'linux' && process.getuid?.() === 0 ? false : 'needs Linux and root';

/** A process that stands still. */
async function still(t: Test): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, ['-e', HOLDER], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  t.teardown(() => child.kill('SIGKILL'));
  if (child.stdout !== null) await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  child.kill('SIGSTOP');
  const isStopped = async () => /^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, 'utf8'));
  while (!(await isStopped())) await new Promise((resolve) => setImmediate(resolve));
  return pid;
}

const options = { unsummed: [], signal: AbortSignal.timeout(30_000) };

async function sum(pid: number): Promise<Map<number, string>> {
  const sums = await sumAreas(pid, await ownAreas(pid, []), options);
  return new Map([...sums.ranges()].map(({ start, sum: of }) => [start, of]));
}

/** Where the mark is for the first time. */
async function findMark(pid: number, areas: readonly Area[]): Promise<number> {
  const memory = await open(`/proc/${pid}/mem`, 'r');
  try {
    for (const { start, end } of areas.filter((area) => area.end - area.start >= 8 << 20)) {
      const { buffer } = await memory.read(
        Buffer.alloc(Math.min(end - start, 16 << 20)),
        0,
        undefined,
        start,
      );
      const at = buffer.indexOf(MARK);
      if (at >= 0) return start + at;
    }
  } finally {
    await memory.close();
  }
  throw new Error('the mark is not found');
}

t.test('a process that stands still has the same sums each time', { skip }, async (t) => {
  const pid = await still(t);
  const first = await sum(pid);
  t.ok(first.size >= 8, 'at least those of what it holds');
  t.same(await sum(pid), first);
});

t.test('one byte that changes is a difference, in the range it lies in', { skip }, async (t) => {
  const pid = await still(t);
  const before = await sum(pid);
  const address = await findMark(pid, await ownAreas(pid, []));
  const memory = await open(`/proc/${pid}/mem`, 'r+');
  await memory.write(Buffer.from('A'), 0, 1, address);
  await memory.close();
  const after = await sum(pid);
  const differing = [...after.keys()].filter((start) => after.get(start) !== before.get(start));
  t.same(differing, [address - (address % (1 << 20))]);
});

t.test('memory of a process that is gone is not agreed upon', { skip }, async (t) => {
  const pid = await still(t);
  const areas = await ownAreas(pid, []);
  process.kill(pid, 'SIGKILL');
  while (processExists(pid)) await new Promise((resolve) => setImmediate(resolve));
  await t.rejects(sumAreas(pid, areas, options), { code: 'MEMORY_UNREADABLE' });
  await t.rejects(ownAreas(pid, []), { code: 'MEMORY_UNREADABLE' });
});

function processExists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
