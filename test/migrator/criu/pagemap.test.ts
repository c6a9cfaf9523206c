import t from 'tap';
import { PageFlag, parsePagemap, writePagemap } from '../../../migrator/criu/pagemap.ts';

/** How a pagemap image of CRIU 4.2.1 begins: a head and the first three runs of a process. */
const FROM_CRIU = Buffer.from(
  'GUNWVCVACFYCAAAACAENAAAACICA0MnDDhAAIAYoQA0AAAAIgIDg0PQfEAAgBihADQAAAAiAgICHw1MQACAGKEA=',
  'base64',
);
/** The magic numbers, then messages of these bytes. */
const image = (...messages: number[][]) =>
  Buffer.concat([
    FROM_CRIU.subarray(0, 8),
    ...messages.map((bytes) => Buffer.from([bytes.length, 0, 0, 0, ...bytes])),
  ]);
const HEAD = [0x08, 7];

t.test('what CRIU writes is read', (t) => {
  const flags = PageFlag.present | PageFlag.lazy;
  t.same(parsePagemap(FROM_CRIU), {
    pagesId: 1,
    runs: [
      { address: 0x7439340000, pages: 64, flags },
      { address: 0xff4a180000, pages: 64, flags },
      { address: 0x29c30e00000, pages: 64, flags },
    ],
  });
  t.end();
});

t.test('what is written is read back, with addresses and counts of any size', (t) => {
  const runs = [0, 4096, 0x7fff_ffff_f000, 2 ** 47 - 8192].flatMap((address) =>
    [1, 127, 128, 300_000_000].map((pages, flags) => ({ address, pages, flags })),
  );
  for (const pagemap of [
    { pagesId: 1, runs },
    { pagesId: 300, runs: [] },
  ]) {
    t.same(parsePagemap(writePagemap(pagemap)), pagemap);
  }
  t.end();
});

t.test('runs as older versions of CRIU write them are understood', (t) => {
  const { runs } = parsePagemap(
    image(HEAD, [0x08, 0x80, 0x20, 0x10, 3], [0x08, 0x80, 0x40, 0x10, 2, 0x18, 1], [0x10, 4, 0x18, 0]),
  );
  t.same(runs, [
    { address: 4096, pages: 3, flags: PageFlag.present },
    { address: 8192, pages: 2, flags: PageFlag.parent },
    { address: 0, pages: 4, flags: PageFlag.present },
  ]);
  t.end();
});

t.test('what is no pagemap is damage', (t) => {
  const cases: Record<string, Buffer> = {
    'nothing at all': Buffer.alloc(0),
    'the magic numbers alone': FROM_CRIU.subarray(0, 8),
    'another image': Buffer.concat([
      Buffer.from([0x19, 0x43, 0x56, 0x54, 1, 2, 3, 4]),
      FROM_CRIU.subarray(8),
    ]),
    'a head without its number': image([0x10, 1]),
    'half a size': Buffer.concat([image(HEAD), Buffer.from([3, 0])]),
    'a message cut short': FROM_CRIU.subarray(0, -3),
    'a message that ends between two fields': FROM_CRIU.subarray(0, -2),
    'a message far too long': Buffer.concat([image(HEAD), Buffer.from([255, 255, 255, 255])]),
    'a field that is no number': image(HEAD, [0x0a, 1, 1]),
    'a number without an end': image(HEAD, [0x08, 255, 255]),
    'a number larger than any address': image(HEAD, [0x08, ...Array(9).fill(255), 1]),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    t.throws(() => parsePagemap(bytes), { code: 'IMAGES_DAMAGED' }, name);
  }
  t.end();
});
