import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t, { type Test } from 'tap';
import { parsePagemap } from '../../../migrator/criu/pagemap.ts';
import { hashOf } from '../../../migrator/memory/page-hash.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { type Loopback, loopback } from '../transfer/loopback.ts';
import {
  keepParentOnly,
  type Memories,
  page,
  pagesOf,
  readCheckpoint,
  sendAhead,
  sendChanged,
  writeCheckpoint,
} from './checkpoint.ts';

/** The same numbers for the same seed, from 0 to below 1. */
function seeded(seed: number): () => number {
  let count = 0;
  return () => createHash('sha256').update(`${seed}/${count++}`).digest().readUInt32LE() / 2 ** 32;
}

const at = (number: number) => 0x7f00_0000_0000 + number * PAGE_BYTES;

/** Every address has the page it had at the source, from the checkpoint or from its parent. */
async function hasArrived(t: Test, ends: Loopback, memories: Memories): Promise<void> {
  for (const [name, memory] of memories) {
    const there = await readCheckpoint(ends.outDir, name);
    t.same(there.size, memory.size, name);
    const wrong = [...memory].filter(([address, number]) => !there.get(address)?.equals(page(number)));
    t.equal(wrong.length, 0, `pages of ${name}`);
  }
}

t.test('only pages that differ are sent and written; the rest is the parent’s', async (t) => {
  const ends = await loopback(t);
  const before = new Map(Array.from({ length: 1000 }, (_, n) => [at(n), n + 1]));
  const ahead = await sendAhead(ends, new Map([['1', before]]));
  const now = new Map(before);
  for (let n = 0; n < 1000; n += 100) now.set(at(n), 5000 + n); // Changed.
  for (let n = 77; n < 1000; n += 200) now.set(at(n), 0); // Cleared.
  for (let n = 300; n < 305; n++) now.delete(at(n)); // Given up.
  for (let n = 1; n < 6; n++) now.set(at(1000 + n), n); // A copy of what stands elsewhere.
  for (let n = 0; n < 4; n++) now.set(at(2000 + n), 9000 + n); // New.
  const shared = new Map(Array.from({ length: 20 }, (_, n) => [n * PAGE_BYTES, 10_000 + (n % 3)]));
  const memories: Memories = new Map([
    ['1', now],
    ['shmem-12', shared],
  ]);
  await writeCheckpoint(ends.inDir, memories);
  const bytesSent = await sendChanged(ends, ahead);
  await hasArrived(t, ends, memories);
  const changedPages = 9 + 5 + 5 + 4; // Page 300 was given up after it had changed.
  t.equal((await stat(path.join(ends.outDir, 'pages-1.img'))).size, changedPages * PAGE_BYTES);
  t.same(
    await readFile(path.join(ends.outDir, 'pagemap-shmem-12.img')),
    await readFile(path.join(ends.inDir, 'pagemap-shmem-12.img')),
    'shared memory does not build upon anything',
  );
  t.ok((await readFile(path.join(ends.outDir, 'pages-2.img'))).equals(pagesOf(shared.values())));
  t.equal(await readFile(path.join(ends.outDir, 'inventory.img'), 'utf8'), 'not of pages');
  t.ok(bytesSent < 60 * PAGE_BYTES, `${bytesSent} bytes for 16 pages that are new`);
});

t.test('an app that did not change sends no page at all', async (t) => {
  const ends = await loopback(t);
  const memories: Memories = new Map([['1', new Map([1, 2, 3].map((n) => [at(n), n]))]]);
  const ahead = await sendAhead(ends, memories);
  await writeCheckpoint(ends.inDir, memories);
  await sendChanged(ends, ahead);
  await hasArrived(t, ends, memories);
  t.equal((await stat(path.join(ends.outDir, 'pages-1.img'))).size, 0);
  t.equal(parsePagemap(await readFile(path.join(ends.outDir, 'pagemap-1.img'))).runs.length, 1);
});

t.test('a checkpoint that comes again is numbered from where the pages ahead end', async (t) => {
  const ends = await loopback(t);
  const ahead = await sendAhead(ends, new Map([['1', new Map([[at(0), 1]])]]));
  const aheadPages = ahead.index.size;
  for (const numbers of [
    [1, 2, 3, 4],
    [1, 9, 3, 8, 7],
  ]) {
    // As the two ends do before each attempt.
    await keepParentOnly(ends);
    await ends.kept.beginCheckpoint(1e6);
    ahead.index.forgetFrom(aheadPages);
    const memories: Memories = new Map([['1', new Map(numbers.map((number, n) => [at(n), number]))]]);
    await writeCheckpoint(ends.inDir, memories);
    await sendChanged(ends, ahead);
    await hasArrived(t, ends, memories);
  }
});

t.test('pages the other end does not have are told as damage, nothing else is made of them', async (t) => {
  const ends = await loopback(t);
  const index = new PageIndex();
  index.place(hashOf(page(1)));
  await writeCheckpoint(ends.inDir, new Map([['1', new Map([[at(0), 1]])]]));
  await t.rejects(sendChanged(ends, { index, layouts: new Map() }), { code: 'IMAGES_DAMAGED' });
});

t.test('a pagemap that is not understood is told, not sent', async (t) => {
  const ends = await loopback(t);
  await writeCheckpoint(ends.inDir, new Map([['1', new Map([[at(0), 1]])]]));
  await writeFile(path.join(ends.inDir, 'pagemap-1.img'), 'garbage');
  await t.rejects(sendChanged(ends, { index: new PageIndex(), layouts: new Map() }), {
    code: 'IMAGES_DAMAGED',
  });
});

t.test('more pages ahead than there is room for are refused', async (t) => {
  const ends = await loopback(t, { keepBytes: 2 * PAGE_BYTES });
  const memory = new Map([1, 2, 3].map((n) => [at(n), n]));
  await t.rejects(sendAhead(ends, new Map([['1', memory]])), { code: 'IMAGES_TOO_LARGE' });
});

for (const seed of [1, 2, 3, 4, 5, 6]) {
  t.test(`whatever becomes of memory, it arrives as it is (seed ${seed})`, async (t) => {
    const random = seeded(seed);
    const below = (bound: number) => Math.floor(random() * bound);
    const ends = await loopback(t);
    const [before, now] = [new Map<string, Map<number, number>>(), new Map<string, Map<number, number>>()];
    for (const pid of ['1', '7', '30']) {
      const [then, later] = [new Map<number, number>(), new Map<number, number>()];
      for (let number = below(50), end = below(900); number < end; number++) {
        if (below(20) === 0) number += below(30); // A gap.
        const [was, is] = [below(8) && below(400), below(8) && below(600)];
        const fate = below(10);
        if (fate > 0) then.set(at(number), was);
        if (fate > 1) later.set(at(number), fate > 5 ? was : is);
        else if (fate === 0) later.set(at(number), is);
      }
      if (below(4) > 0) before.set(pid, then);
      if (later.size > 0) now.set(pid, later);
    }
    now.set('shmem-9', new Map(Array.from({ length: below(300) }, (_, n) => [n * PAGE_BYTES, below(700)])));
    const ahead = await sendAhead(ends, before);
    await writeCheckpoint(ends.inDir, now, () => 1 + below(64));
    await sendChanged(ends, ahead);
    await hasArrived(t, ends, now);
  });
}
