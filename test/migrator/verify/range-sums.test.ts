import t from 'tap';
import { RANGE_BYTES, RangeSums, WindowOf } from '../../../migrator/verify/range-sums.ts';

const PAGE = 4096;
const BASE = 0x7f12_3450_0000;

const page = (fill: number) => Buffer.alloc(PAGE, fill);

function sumsOf(
  pieces: readonly (readonly [what: WindowOf, address: number, bytes: Buffer])[],
  unsummed: readonly { address: number; sizeBytes: number }[] = [],
) {
  const sums = new RangeSums(unsummed);
  for (const piece of pieces) sums.add(...piece);
  sums.end();
  return [...sums.ranges()];
}

t.test('a page of zeros and one that was never touched are the same', async (t) => {
  const touched = sumsOf([
    [WindowOf.pages, BASE, page(1)],
    [WindowOf.pages, BASE + PAGE, page(0)],
    [WindowOf.pages, BASE + 64 * PAGE, page(0)],
  ]);
  t.same(touched, sumsOf([[WindowOf.pages, BASE, page(1)]]));
});

t.test('but not where the page stands before a file', async (t) => {
  const written = sumsOf([[WindowOf.pagesOverFile, BASE, page(0)]]);
  t.not(written.length, sumsOf([]).length);
  t.notSame(written, sumsOf([[WindowOf.pagesOverFile, BASE + PAGE, page(0)]]), 'which page it is counts');
});

t.test('it does not matter in which pieces memory is read', async (t) => {
  const bytes = Buffer.alloc(40 * PAGE, 'it does not matter');
  const pieces = [0, 7, 8, 23].map((from, index, all) => {
    const to = all[index + 1] ?? 40;
    return [WindowOf.pages, BASE + from * PAGE, bytes.subarray(from * PAGE, to * PAGE)] as const;
  });
  t.same(sumsOf(pieces), sumsOf([[WindowOf.pages, BASE, bytes]]));
});

t.test('the same page elsewhere is a difference, in its range alone', async (t) => {
  const first = [WindowOf.pages, BASE, page(1)] as const;
  const before = sumsOf([first, [WindowOf.pages, BASE + RANGE_BYTES, page(2)]]);
  const after = sumsOf([first, [WindowOf.pages, BASE + RANGE_BYTES + PAGE, page(2)]]);
  t.same(
    before.map(({ start }) => start),
    [BASE, BASE + RANGE_BYTES],
  );
  t.same(after[0], before[0]);
  t.equal(after[1]?.start, before[1]?.start);
  t.not(after[1]?.sum, before[1]?.sum);
});

t.test('shared and private memory are not taken for one another', async (t) => {
  t.notSame(sumsOf([[WindowOf.shared, BASE, page(1)]]), sumsOf([[WindowOf.pages, BASE, page(1)]]));
});

t.test('what the kernel writes is left out, and nothing besides', async (t) => {
  const unsummed = [{ address: BASE + 100, sizeBytes: 32 }];
  const changedAt = (offset: number) => {
    const bytes = page(1);
    bytes[offset] = 2;
    return sumsOf([[WindowOf.pages, BASE, bytes]], unsummed);
  };
  t.same(changedAt(100), changedAt(131));
  t.notSame(changedAt(100), changedAt(99));
  t.notSame(changedAt(100), changedAt(132));
});
