import t from 'tap';
import { readMemory } from '../../../migrator/memory/process-memory.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { startApp, textOf } from './app.ts';

async function read(pid: number, sizeBytes: number): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of readMemory(pid, () => Buffer.alloc(sizeBytes))) pieces.push(piece);
  return pieces;
}

t.test('what a process has written is read while it runs on', async (t) => {
  const app = await startApp(t, 300);
  const pieces = await read(app.pid, 64 * 1024);
  t.ok(pieces.every(({ length }) => length > 0 && length <= 64 * 1024 && length % PAGE_BYTES === 0));
  const memory = Buffer.concat(pieces);
  for (const page of [0, 150, 299]) t.ok(memory.includes(textOf(page).repeat(100)), `page ${page}`);
  await app.refill();
  t.ok(Buffer.concat(await read(app.pid, 64 * 1024)).includes(textOf(299, 1).repeat(100)), 'it runs');
});

t.test('a process that has ended has no memory', async (t) => {
  const app = await startApp(t, 1);
  await app.end();
  t.same(await read(app.pid, PAGE_BYTES), []);
});

t.test('a process that ends while it is read gives what was read so far', async (t) => {
  const app = await startApp(t, 300);
  let pieces = 0;
  for await (const _ of readMemory(app.pid, () => Buffer.alloc(PAGE_BYTES)))
    if (pieces++ === 10) await app.end();
  t.ok(pieces > 10);
});
