import t from 'tap';
import { PageFlag } from '../../../migrator/criu/pagemap.ts';
import { chooseLater, type Looked, nothingLooked } from '../../../migrator/memory/later.ts';
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

/** What was found in so many MiB, a part of which stands for all. */
function looked(sameMib: number, changedMib: number): Looked {
  const [samePages, changedPages] = [sameMib * MIB_PAGES, changedMib * MIB_PAGES];
  const sample = { pages: (samePages + changedPages) / 32, changedPages: changedPages / 32 };
  return { samePages, changedPages, sample };
}

t.test('with little to be sent still, the app waits for that and needs its source no more', async (t) => {
  const { small, pagemap } = pagemapOf(64);
  const { from, eager } = chooseLater([pagemap], looked(63, 1), GIGABIT_BPMS);
  t.equal(from, 'store');
  t.same(
    [...eager],
    [small],
    'small areas are restored at once, large ones follow, and stacks are not asked about',
  );
});

t.test('an app that writes more than the link takes does not wait for it', async (t) => {
  const { pagemap } = pagemapOf(64);
  t.equal(chooseLater([pagemap], looked(14, 50), GIGABIT_BPMS * 10).from, 'source');
  t.equal(chooseLater([pagemap], looked(62, 2), GIGABIT_BPMS).from, 'store');
  t.equal(chooseLater([pagemap], looked(62, 2), GIGABIT_BPMS / 100).from, 'source', 'nor for a slow link');
});

t.test('what was not looked at is taken to be like what stands for all', async (t) => {
  const { pagemap } = pagemapOf(200);
  t.equal(chooseLater([pagemap], looked(90, 10), GIGABIT_BPMS).from, 'store');
  t.equal(chooseLater([pagemap], looked(90, 10), GIGABIT_BPMS / 2).from, 'source');
  const sample = { pages: 1000, changedPages: 900 };
  const quietAreas = { samePages: 40 * MIB_PAGES, changedPages: 900, sample };
  t.equal(chooseLater([pagemap], quietAreas, GIGABIT_BPMS).from, 'source', 'not like the small areas');
});

t.test('nor does an app wait until all of much memory has been looked at', async (t) => {
  const { pagemap } = pagemapOf(2048);
  t.equal(chooseLater([pagemap], looked(300, 0), GIGABIT_BPMS).from, 'source');
});

t.test('nothing was sent ahead: it all stays', async (t) => {
  const { pagemap } = pagemapOf(4);
  t.equal(chooseLater([pagemap], nothingLooked(), 0).from, 'source');
});
