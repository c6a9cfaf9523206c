import t from 'tap';
import { contentFile, pagesFile } from '../../../migrator/memory/page-files.ts';
import { CHUNK_BYTES, PAGE_BYTES, PartFrom } from '../../../migrator/transfer/frame.ts';

const { zeros } = PartFrom;
const PAGES_IN_CHUNK = CHUNK_BYTES / PAGE_BYTES;

t.test('pages that are kept side by side are told as one part', (t) => {
  const pieces = [...pagesFile(3, 'pages-1.img', [5, 6, 7, zeros, zeros, 7, 7, 9, 8, 0])];
  t.match(pieces, [
    { type: 'file', path: 'pages-1.img' },
    { type: 'data', file: 3, offset: 0, length: 10 * PAGE_BYTES, raw: { length: 0 } },
    { type: 'file-end', file: 3, sizeBytes: 10 * PAGE_BYTES },
  ]);
  const parts = [3, 5, 2, zeros, 1, 7, 1, 7, 1, 9, 1, 8, 1, 0];
  t.same(
    pieces.flatMap((piece) => (piece.type === 'data' ? [piece.parts] : [])),
    [parts],
  );
  t.end();
});

t.test('a file of many pages is cut at each chunk, in order and without a gap', (t) => {
  const places = Array.from({ length: 2 * PAGES_IN_CHUNK + 1 }, (_, n) => n + 10);
  const data = [...pagesFile(0, 'pages-1.img', places)].flatMap((piece) =>
    piece.type === 'data' ? [{ offset: piece.offset, length: piece.length, parts: piece.parts }] : [],
  );
  t.same(data, [
    { offset: 0, length: CHUNK_BYTES, parts: [PAGES_IN_CHUNK, 10] },
    { offset: CHUNK_BYTES, length: CHUNK_BYTES, parts: [PAGES_IN_CHUNK, 10 + PAGES_IN_CHUNK] },
    { offset: 2 * CHUNK_BYTES, length: PAGE_BYTES, parts: [1, 10 + 2 * PAGES_IN_CHUNK] },
  ]);
  t.end();
});

t.test('content at hand is cut into chunks, and a file may be empty', (t) => {
  const content = Buffer.alloc(CHUNK_BYTES + 5, 'content');
  const pieces = [...contentFile(1, 'pagemap-1.img', content)];
  const raw = pieces.flatMap((piece) => (piece.type === 'data' ? [piece.raw] : []));
  t.ok(Buffer.concat(raw).equals(content));
  t.match(pieces.at(-1), { type: 'file-end', file: 1, sizeBytes: content.length });
  for (const empty of [contentFile(0, 'empty', Buffer.alloc(0)), pagesFile(0, 'empty', [])]) {
    t.same(
      [...empty],
      [
        { type: 'file', path: 'empty' },
        { type: 'file-end', file: 0, sizeBytes: 0 },
      ],
    );
  }
  t.end();
});
