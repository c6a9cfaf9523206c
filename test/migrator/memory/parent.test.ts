import { readdir } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { PARENT_DIR } from '../../../migrator/memory/parent.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { loopback } from '../transfer/loopback.ts';
import { page, readCheckpoint, sendAhead } from './checkpoint.ts';

const at = (number: number) => 0x7f00_0000_0000 + number * PAGE_BYTES;

t.test('what was sent ahead is a checkpoint of its own at the other end', async (t) => {
  const ends = await loopback(t);
  const first = new Map([1, 2, 3, 10, 11, 400, 401].map((number) => [at(number), number % 10]));
  const second = new Map([1, 2, 5000].map((number) => [at(number), number]));
  await sendAhead(
    ends,
    new Map([
      ['1', first],
      ['17', second],
    ]),
  );
  for (const [name, memory] of Object.entries({ 1: first, 17: second })) {
    const there = await readCheckpoint(path.join(ends.outDir, PARENT_DIR), name);
    t.equal(there.size, memory.size);
    for (const [address, number] of memory) t.ok(there.get(address)?.equals(page(number)));
  }
});

t.test('of a process without memory there is no parent', async (t) => {
  const ends = await loopback(t);
  await sendAhead(
    ends,
    new Map([
      ['1', new Map()],
      ['2', new Map([[at(1), 1]])],
    ]),
  );
  t.same((await readdir(path.join(ends.outDir, PARENT_DIR))).sort(), [
    'hashes-2.img',
    'pagemap-2.img',
    'pages-2.img',
  ]);
});
