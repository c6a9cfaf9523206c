import t from 'tap';
import { type MemoryPiece, readMemory } from '../../../migrator/memory/process-memory.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { startApp, textOf } from './app.ts';

const bytesOf = (pieces: readonly MemoryPiece[]) => Buffer.concat(pieces.map(({ bytes }) => bytes));

async function read(pid: number, sizeBytes: number): Promise<MemoryPiece[]> {
  const pieces: MemoryPiece[] = [];
  for await (const piece of readMemory(pid, () => Buffer.alloc(sizeBytes))) pieces.push(piece);
  return pieces;
}

t.test('what a process has written is read while it runs on', async (t) => {
  const app = await startApp(t, 300);
  const pieces = await read(app.pid, 64 * 1024);
  t.ok(
    pieces.every(
      ({ bytes }) => bytes.length > 0 && bytes.length <= 64 * 1024 && bytes.length % PAGE_BYTES === 0,
    ),
  );
  let end = 0;
  for (const { address, bytes } of pieces) {
    if (address < end || address % PAGE_BYTES !== 0) t.fail('in the order of the addresses, page by page');
    end = address + bytes.length;
  }
  const memory = bytesOf(pieces);
  for (const page of [0, 150, 299]) t.ok(memory.includes(textOf(page).repeat(100)), `page ${page}`);
  await app.refill();
  t.ok(bytesOf(await read(app.pid, 64 * 1024)).includes(textOf(299, 1).repeat(100)), 'it runs');
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
