import t from 'tap';
import type { Range } from '../../../migrator/memory/block.ts';
import { ProcessMemory } from '../../../migrator/memory/process-memory.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { startApp } from './app.ts';

async function rangesOf(memory: ProcessMemory | undefined): Promise<Range[]> {
  const ranges: Range[] = [];
  for await (const range of memory?.presentRanges() ?? []) ranges.push(range);
  return ranges;
}

const bytesIn = (ranges: readonly Range[]) => ranges.reduce((sum, { start, end }) => sum + end - start, 0);

t.test('what a process has written is found, in whole pages, in the order of the addresses', async (t) => {
  const app = await startApp(t, 3000);
  const memory = await ProcessMemory.open(app.pid);
  t.teardown(() => memory?.close());
  t.equal(memory?.innerPid, app.pid, 'here it has but one pid');
  process.kill(app.pid, 'SIGSTOP'); // The map of a process that runs changes while it is read.
  const ranges = await rangesOf(memory);
  let before = 0;
  for (const { start, end } of ranges) {
    t.ok(before <= start && start < end && start % PAGE_BYTES === 0 && end % PAGE_BYTES === 0);
    before = end;
  }
  t.ok(bytesIn(ranges) > 3000 * PAGE_BYTES);
  t.ok(
    ranges.some(({ start, end }) => end - start >= 3000 * PAGE_BYTES),
    'its buffer is in one piece',
  );
});

t.test('a process that has ended has no memory', async (t) => {
  const app = await startApp(t, 1);
  await app.end();
  t.equal(await ProcessMemory.open(app.pid), undefined);
});

t.test('a process that ends while it is looked at has none any more', async (t) => {
  const app = await startApp(t, 1);
  const memory = await ProcessMemory.open(app.pid);
  t.teardown(() => memory?.close());
  await app.end();
  t.same(await rangesOf(memory), []);
});
