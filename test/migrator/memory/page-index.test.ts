import { randomBytes } from 'node:crypto';
import t from 'tap';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import { PAGE_BYTES, PartFrom } from '../../../migrator/transfer/frame.ts';

/** The primes of xxHash64, see its specification. */
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const rotate = (value: bigint) => BigInt.asUintN(64, (value << 31n) | (BigInt.asUintN(64, value) >> 33n));
const round = (lane: bigint, input: bigint) =>
  BigInt.asUintN(64, rotate(BigInt.asUintN(64, lane + input * P2)) * P1);

t.test('pages are known by their place, in the order they were added', (t) => {
  const index = new PageIndex();
  const [a, b] = [randomBytes(PAGE_BYTES), randomBytes(PAGE_BYTES)];
  t.equal(index.place(a), 0);
  t.equal(index.place(b), 1);
  t.equal(index.place(Buffer.from(a)), 0, 'a page takes one place');
  t.equal(index.find(b), 1);
  t.equal(index.find(a), 0);
  t.equal(index.find(randomBytes(PAGE_BYTES)), undefined);
  t.equal(index.size, 2);
  t.end();
});

t.test('zeros need no place', (t) => {
  const index = new PageIndex();
  t.equal(index.place(Buffer.alloc(PAGE_BYTES)), PartFrom.zeros);
  t.equal(index.find(Buffer.alloc(PAGE_BYTES)), PartFrom.zeros);
  t.equal(index.size, 0);
  t.end();
});

t.test('pages that did not arrive are forgotten, and their places given anew', (t) => {
  const index = new PageIndex();
  const [a, b, c] = [randomBytes(PAGE_BYTES), randomBytes(PAGE_BYTES), randomBytes(PAGE_BYTES)];
  index.place(a);
  const ahead = index.size;
  index.forgetFrom(ahead);
  t.equal(index.find(a), 0, 'nothing came after it');
  index.place(b);
  index.forgetFrom(ahead);
  t.equal(index.size, 1);
  t.equal(index.find(b), undefined);
  t.equal(index.find(Buffer.alloc(PAGE_BYTES)), PartFrom.zeros, 'zeros need nobody to send them');
  t.equal(index.place(c), 1);
  t.equal(index.place(b), 2);
  t.equal(index.place(a), 0);
  t.end();
});

t.test('two pages with one and the same first hash are not taken for one another', (t) => {
  // Not any page: of every other one the twin has the same second hash as well.
  const page = Buffer.from(Array.from({ length: PAGE_BYTES }, (_, at) => at * 7));
  const twin = Buffer.from(page);
  // The third lane starts at the seed, 0, and takes the third eight bytes of each 32: another value in the first
  // round is made up for in the second.
  twin.writeBigUInt64LE(BigInt.asUintN(64, page.readBigUInt64LE(16) + 1n), 16);
  let inverse = 1n;
  for (let step = 0; step < 6; step++) inverse = BigInt.asUintN(64, inverse * (2n - P2 * inverse));
  const difference = round(0n, page.readBigUInt64LE(16)) - round(0n, twin.readBigUInt64LE(16));
  twin.writeBigUInt64LE(BigInt.asUintN(64, page.readBigUInt64LE(48) + difference * inverse), 48);

  const index = new PageIndex();
  t.equal(index.place(page), 0);
  t.equal(index.place(twin), 1, 'it gets a place of its own');
  t.equal(index.find(twin), undefined, 'but its hash is taken');
  t.equal(index.place(twin), 2, 'so it is kept anew whenever it is met');
  t.equal(index.find(page), 0);
  t.end();
});
