import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { matchPages } from '../../../migrator/memory/match-pages.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import { codecs } from '../../../migrator/transfer/codec.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../../../migrator/transfer/frame.ts';
import { readImages } from '../../../migrator/transfer/image-reader.ts';
import type { Piece } from '../../../migrator/transfer/piece.ts';
import { type UploadOptions, upload } from '../../../migrator/transfer/upload.ts';
import { type Loopback, loopback } from '../transfer/loopback.ts';

/** The same numbers for the same seed, from 0 to below 1. */
function seeded(seed: number): () => number {
  let count = 0;
  return () => createHash('sha256').update(`${seed}/${count++}`).digest().readUInt32LE() / 2 ** 32;
}

/** Page 0 is zeros; any other has bytes of its own. */
function page(number: number): Buffer {
  if (number === 0) return Buffer.alloc(PAGE_BYTES);
  const block = createHash('sha512').update(`page ${number}`).digest();
  return Buffer.alloc(PAGE_BYTES, block);
}

const pagesOf = (numbers: readonly number[]) => Buffer.concat(numbers.map(page));
const wire = { path: '/images', stallMs: 10_000, signal: AbortSignal.timeout(30_000) };

async function sendAhead(ends: Loopback, index: PageIndex, pages: readonly number[]): Promise<void> {
  const fresh = pages.filter((number) => index.add(page(number)));
  await put(ends, async function* () {
    const raw = pagesOf(fresh);
    for (let at = 0; at < raw.length; at += CHUNK_BYTES) {
      const buffer = Buffer.from(raw.subarray(at, at + CHUNK_BYTES));
      yield { type: 'keep', raw: buffer, buffer } satisfies Piece;
    }
  });
}

async function put(ends: Loopback, pieces: UploadOptions['pieces']): Promise<number> {
  const link = ends.link();
  await upload({ ...wire, link, pieces, codec: codecs[0] });
  return link.bytesSent;
}

function sendFiles(ends: Loopback, index: PageIndex): Promise<number> {
  return put(ends, (buffers, signal) => matchPages(readImages(ends.inDir, buffers, { signal }), index));
}

t.test('pages that are kept, zeros and pages that changed make up the file again', async (t) => {
  const ends = await loopback(t);
  const index = new PageIndex();
  const numbers = Array.from({ length: 1000 }, (_, n) => n + 1);
  await sendAhead(ends, index, numbers);
  const changed = numbers.map((number) =>
    number % 100 === 0 ? number + 5000 : number % 77 === 0 ? 0 : number,
  );
  await writeFile(path.join(ends.inDir, 'pages-1.img'), pagesOf(changed));
  await writeFile(path.join(ends.inDir, 'core-1.img'), 'not of pages');
  const bytesSent = await sendFiles(ends, index);
  t.ok((await readFile(path.join(ends.outDir, 'pages-1.img'))).equals(pagesOf(changed)));
  t.equal(await readFile(path.join(ends.outDir, 'core-1.img'), 'utf8'), 'not of pages');
  t.ok(bytesSent < 40 * PAGE_BYTES, `${bytesSent} bytes for 10 pages that changed`);
});

t.test(
  'pages the other end does not have are told as damage, and nothing else is made of them',
  async (t) => {
    const ends = await loopback(t);
    const index = new PageIndex();
    index.add(page(1));
    await writeFile(path.join(ends.inDir, 'pages-1.img'), page(1));
    await t.rejects(sendFiles(ends, index), { code: 'IMAGES_DAMAGED' });
  },
);

t.test('more pages ahead than there is room for are refused', async (t) => {
  const ends = await loopback(t, { keepBytes: 2 * PAGE_BYTES });
  await t.rejects(sendAhead(ends, new PageIndex(), [1, 2, 3]), { code: 'IMAGES_TOO_LARGE' });
});

for (const seed of [1, 2, 3, 4, 5]) {
  t.test(`whatever is sent ahead, the files arrive as they are (seed ${seed})`, async (t) => {
    const random = seeded(seed);
    const below = (bound: number) => Math.floor(random() * bound);
    const ends = await loopback(t);
    const index = new PageIndex();
    await sendAhead(
      ends,
      index,
      Array.from({ length: below(600) }, () => below(800)),
    );
    const files = new Map<string, Buffer>();
    for (let file = 0; file < 4; file++) {
      const numbers: number[] = [];
      for (let wanted = below(500); numbers.length < wanted; ) {
        const [first, step] = [below(800), below(2)]; // Runs of pages that follow one another, or of the same.
        for (let run = below(60); run >= 0; run--) numbers.push(first === 0 ? 0 : first + run * step);
      }
      files.set(`file-${file}`, Buffer.concat([pagesOf(numbers), Buffer.alloc(below(2) * below(5000), 'x')]));
    }
    for (const [name, content] of files) await writeFile(path.join(ends.inDir, name), content);
    await sendFiles(ends, index);
    for (const [name, content] of files) {
      t.ok((await readFile(path.join(ends.outDir, name))).equals(content), name);
    }
  });
}
