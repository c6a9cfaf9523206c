import { randomBytes } from 'node:crypto';
import t from 'tap';
import { CHUNK_BYTES, PAGE_BYTES, PartFrom } from '../../../migrator/transfer/frame.ts';
import { KeptPages } from '../../../migrator/transfer/kept-pages.ts';

const { payload, zeros } = PartFrom;
const PAGES_IN_CHUNK = CHUNK_BYTES / PAGE_BYTES;

async function keep(...chunks: Buffer[]): Promise<KeptPages> {
  const kept = new KeptPages({ limitBytes: 1e9 });
  for (const chunk of chunks) await kept.add(Promise.resolve(chunk));
  await kept.settled();
  return kept;
}

t.test('a piece is put together from kept pages, zeros and what came with it', async (t) => {
  const chunks = [randomBytes(CHUNK_BYTES), randomBytes(3 * PAGE_BYTES)];
  const kept = await keep(...chunks);
  const came = randomBytes(2 * PAGE_BYTES);
  const parts = [1, payload, 2, zeros, 4, PAGES_IN_CHUNK - 2, 1, payload];
  const piece = Buffer.concat(kept.assemble(parts, came, 8 * PAGE_BYTES));
  const all = Buffer.concat(chunks);
  const across = all.subarray(CHUNK_BYTES - 2 * PAGE_BYTES, CHUNK_BYTES + 2 * PAGE_BYTES);
  t.ok(
    piece.equals(
      Buffer.concat([
        came.subarray(0, PAGE_BYTES),
        Buffer.alloc(2 * PAGE_BYTES),
        across,
        came.subarray(PAGE_BYTES),
      ]),
    ),
  );
});

t.test('parts that do not make up their piece, and places never sent, are damage', async (t) => {
  const kept = await keep(randomBytes(2 * PAGE_BYTES));
  const cases: Record<string, { parts: number[]; came?: number }> = {
    'none at all': { parts: [] },
    'too few': { parts: [1, zeros] },
    'too many': { parts: [3, zeros] },
    'half a part': { parts: [2, zeros, 1] },
    'no pages': { parts: [0, zeros, 2, zeros] },
    'fewer than none': { parts: [2, zeros, 1, zeros, -1, zeros] },
    'more than came': { parts: [2, payload], came: 1 },
    'less than came': { parts: [1, payload, 1, zeros], came: 2 },
    'a place never sent': { parts: [2, 2] },
    'a place partly sent': { parts: [2, 1] },
    'a place far away': { parts: [2, Number.MAX_SAFE_INTEGER] },
  };
  for (const [name, { parts, came = 0 }] of Object.entries(cases)) {
    const assemble = () => kept.assemble(parts, randomBytes(came * PAGE_BYTES), 2 * PAGE_BYTES);
    t.throws(assemble, { code: 'IMAGES_DAMAGED' }, name);
  }
});

t.test('pages that are not whole are damage', async (t) => {
  await t.rejects(keep(randomBytes(100)), { code: 'IMAGES_DAMAGED' });
});

t.test('chunks may have any number of pages', async (t) => {
  const chunks = [3, 1, PAGES_IN_CHUNK, 2, 1].map((pages) => randomBytes(pages * PAGE_BYTES));
  const all = Buffer.concat(chunks);
  const pages = all.length / PAGE_BYTES;
  const kept = await keep(...chunks);
  for (let place = 0; place < pages; place++) {
    const view = Buffer.concat(kept.assemble([1, place], Buffer.alloc(0), PAGE_BYTES));
    if (!view.equals(all.subarray(place * PAGE_BYTES, (place + 1) * PAGE_BYTES))) t.fail(`page ${place}`);
  }
  t.ok(Buffer.concat(kept.assemble([pages, 0], Buffer.alloc(0), all.length)).equals(all));
});

t.test('of a checkpoint that comes again, the pages of the attempt before are forgotten', async (t) => {
  const kept = new KeptPages({ limitBytes: PAGE_BYTES });
  const [ahead, first, second] = [randomBytes(PAGE_BYTES), randomBytes(PAGE_BYTES), randomBytes(PAGE_BYTES)];
  await kept.add(Promise.resolve(ahead));
  await kept.beginCheckpoint(PAGE_BYTES);
  await kept.add(Promise.resolve(first));
  await kept.add(Promise.reject(new Error('cut')));
  await kept.beginCheckpoint(PAGE_BYTES);
  t.equal(kept.sizeBytes, PAGE_BYTES);
  await kept.add(Promise.resolve(second));
  await kept.settled();
  const both = Buffer.concat(kept.assemble([2, 0], Buffer.alloc(0), 2 * PAGE_BYTES));
  t.ok(both.equals(Buffer.concat([ahead, second])));
  await kept.add(Promise.resolve(first));
  await t.rejects(
    kept.settled(),
    { code: 'IMAGES_TOO_LARGE' },
    'an attempt does not leave its room to the next',
  );
});

t.test('no more is kept than there is room for', async (t) => {
  const kept = new KeptPages({ limitBytes: CHUNK_BYTES });
  await kept.add(Promise.resolve(randomBytes(CHUNK_BYTES)));
  await kept.add(Promise.resolve(randomBytes(PAGE_BYTES)));
  await t.rejects(kept.settled(), { code: 'IMAGES_TOO_LARGE' });
  await t.rejects(kept.add(Promise.resolve(randomBytes(PAGE_BYTES))), { code: 'IMAGES_TOO_LARGE' });
  t.equal(kept.sizeBytes, CHUNK_BYTES);
});
