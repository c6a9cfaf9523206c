import t from 'tap';
import { PageFlag } from '../../../migrator/criu/pagemap.ts';
import { chooseLater } from '../../../migrator/memory/later.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';

const MIB_PAGES = (1024 * 1024) / PAGE_BYTES;
const GIGABIT_BPMS = 125_000;

/** A small area, a large one, and one that CRIU has put into its images. */
function pagemapOf(largeMib: number) {
  const small = { address: 0x1000_0000, pages: 300, flags: PageFlag.lazy };
  const large = { address: 0x2000_0000, pages: largeMib * MIB_PAGES, flags: PageFlag.lazy };
  const stack = { address: 0x7000_0000_0000, pages: 10, flags: PageFlag.present };
  return { small, large, pagemap: { pagesId: 1, runs: [small, large, stack] } };
}

t.test('with little to be sent still, the app waits for that and needs its source no more', async (t) => {
  const { small, pagemap } = pagemapOf(64);
  const looked = { samePages: 64 * MIB_PAGES, changedPages: 300 };
  const { from, eager } = chooseLater([pagemap], looked, GIGABIT_BPMS);
  t.equal(from, 'store');
  t.same(
    [...eager],
    [small],
    'small areas are restored at once, large ones follow, stacks are none of its business',
  );
});

t.test('an app that writes more than the link takes does not wait for it', async (t) => {
  const { pagemap } = pagemapOf(64);
  const looked = { samePages: 14 * MIB_PAGES, changedPages: 50 * MIB_PAGES };
  t.equal(chooseLater([pagemap], looked, GIGABIT_BPMS).from, 'source');
  const little = { samePages: 62 * MIB_PAGES, changedPages: 2 * MIB_PAGES };
  t.equal(chooseLater([pagemap], little, GIGABIT_BPMS).from, 'store');
  t.equal(chooseLater([pagemap], little, GIGABIT_BPMS / 100).from, 'source', 'nor for a slow link');
});

t.test('what was not looked at counts as much as was found in the rest', async (t) => {
  const { pagemap } = pagemapOf(200);
  const half = { samePages: 90 * MIB_PAGES, changedPages: 10 * MIB_PAGES };
  t.equal(chooseLater([pagemap], half, GIGABIT_BPMS).from, 'store');
  t.equal(chooseLater([pagemap], half, GIGABIT_BPMS / 2).from, 'source');
});

t.test('nor does an app wait until all of much memory has been looked at', async (t) => {
  const { pagemap } = pagemapOf(1024);
  const looked = { samePages: 300 * MIB_PAGES, changedPages: 0 };
  t.equal(chooseLater([pagemap], looked, GIGABIT_BPMS).from, 'source');
});

t.test('nothing was sent ahead: it all stays', async (t) => {
  const { pagemap } = pagemapOf(4);
  t.equal(chooseLater([pagemap], { samePages: 0, changedPages: 0 }, 0).from, 'source');
});
