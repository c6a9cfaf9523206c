import { randomBytes } from 'node:crypto';
import t from 'tap';
import { hashOf } from '../../../migrator/memory/page-hash.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import { PAGE_BYTES, PartFrom } from '../../../migrator/transfer/frame.ts';

/** The primes of xxHash64, see its specification. */
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const rotate = (value: bigint) => BigInt.asUintN(64, (value << 31n) | (BigInt.asUintN(64, value) >> 33n));
const round = (lane: bigint, input: bigint) =>
  BigInt.asUintN(64, rotate(BigInt.asUintN(64, lane + input * P2)) * P1);

/** Of a page that nobody has met. */
const fresh = () => hashOf(randomBytes(PAGE_BYTES));
const zeros = hashOf(Buffer.alloc(PAGE_BYTES));

t.test('pages are known by their place, in the order they were added', (t) => {
  const index = new PageIndex();
  const [a, b] = [fresh(), fresh()];
  t.equal(index.place(a), 0);
  t.equal(index.place(b), 1);
  t.equal(index.place(Uint32Array.from(a)), 0, 'a page takes one place');
  t.equal(index.find(b), 1);
  t.equal(index.find(a), 0);
  t.equal(index.find(fresh()), undefined);
  t.equal(index.size, 2);
  t.end();
});

t.test('zeros need no place', (t) => {
  const index = new PageIndex();
  t.equal(index.place(zeros), PartFrom.zeros);
  t.equal(index.find(zeros), PartFrom.zeros);
  t.equal(index.size, 0);
  t.end();
});

t.test('pages that did not arrive are forgotten, and their places given anew', (t) => {
  const index = new PageIndex();
  const [a, b, c] = [fresh(), fresh(), fresh()];
  index.place(a);
  const ahead = index.size;
  index.forgetFrom(ahead);
  t.equal(index.find(a), 0, 'nothing came after it');
  index.place(b);
  index.forgetFrom(ahead);
  t.equal(index.size, 1);
  t.equal(index.find(b), undefined);
  t.equal(index.find(zeros), PartFrom.zeros, 'zeros need nobody to send them');
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

  const [one, other] = [hashOf(page), hashOf(twin)];
  t.same(other.subarray(0, 2), one.subarray(0, 2));
  const index = new PageIndex();
  t.equal(index.place(one), 0);
  t.equal(index.find(other), undefined);
  t.equal(index.place(other), 1, 'it gets a place of its own');
  t.equal(index.find(one), 0);
  t.equal(index.find(other), 1);
  t.end();
});

t.test('many pages are found again, also after the last of them were forgotten', (t) => {
  const index = new PageIndex();
  // Few different beginnings: most of them lead to a slot that is taken.
  const hash = (n: number) => Uint32Array.of(n % 7, n, n * 31, 1);
  for (let n = 0; n < 10_000; n++) index.place(hash(n));
  index.forgetFrom(3000);
  const wrong = Array.from({ length: 10_000 }, (_, n) => n).filter(
    (n) => index.find(hash(n)) !== (n < 3000 ? n : undefined),
  );
  t.same(wrong, []);
  t.equal(index.place(hash(9999)), 3000);
  t.end();
});
