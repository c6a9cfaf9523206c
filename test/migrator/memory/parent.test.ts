import path from 'node:path';
import t from 'tap';
import { PageFlag } from '../../../migrator/criu/pagemap.ts';
import { againstParent, PARENT_DIR } from '../../../migrator/memory/parent.ts';
import { PAGE_BYTES, PartFrom } from '../../../migrator/transfer/frame.ts';
import { loopback } from '../transfer/loopback.ts';
import { page, readCheckpoint, sendAhead } from './checkpoint.ts';

const { parent, present, lazy } = PageFlag;
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

t.test('pages the parent has at the same address are its own, all others stay', (t) => {
  const flags = present | lazy;
  const runs = [
    { address: at(0), pages: 4, flags },
    { address: at(4), pages: 1, flags: parent },
    { address: at(20), pages: 2, flags },
  ];
  const layout = new Map([
    [at(0), 0],
    [at(1), 1],
    [at(2), 2],
    [at(3), PartFrom.zeros],
    [at(20), 9],
  ]);
  const { pagemap, places } = againstParent({ pagesId: 3, runs }, [0, 1, 7, PartFrom.zeros, 2, 9], layout);
  t.same(pagemap, {
    pagesId: 3,
    runs: [
      { address: at(0), pages: 2, flags: parent },
      { address: at(2), pages: 1, flags },
      { address: at(3), pages: 2, flags: parent },
      { address: at(20), pages: 2, flags },
    ],
  });
  t.same(places, [7, 2, 9], 'a page that moved is no longer the parent’s');
  t.end();
});

t.test('a pagemap and pages that do not belong together are damage', (t) => {
  const pagemap = { pagesId: 1, runs: [{ address: at(0), pages: 2, flags: present }] };
  for (const places of [[], [1], [1, 2, 3]]) {
    t.throws(() => againstParent(pagemap, places, new Map()), { code: 'IMAGES_DAMAGED' });
  }
  t.end();
});
