import t from 'tap';
import { PageFlag, type Pagemap, parsePagemap } from '../../../migrator/criu/pagemap.ts';
import type { Layout } from '../../../migrator/memory/layout.ts';
import { PageIndex } from '../../../migrator/memory/page-index.ts';
import { PageKeeper } from '../../../migrator/memory/page-keeper.ts';
import { rewritePagemap } from '../../../migrator/memory/rewrite-pagemap.ts';
import { BufferStore } from '../../../migrator/transfer/buffers.ts';
import { CHUNK_BYTES, PAGE_BYTES, PartFrom } from '../../../migrator/transfer/frame.ts';

const { parent, present, lazy } = PageFlag;
const at = (number: number) => 0x7f00_0000_0000 + number * PAGE_BYTES;

async function rewrite(pagemap: Pagemap, places: readonly number[], layout: Layout | undefined) {
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: 1 });
  const keeper = new PageKeeper(new PageIndex(), buffers);
  const name = 'pagemap-1.img';
  const parts: number[] = [];
  const content: Buffer[] = [];
  for await (const piece of rewritePagemap({
    name,
    pagemap,
    places,
    layout,
    left: undefined,
    keeper,
    buffers,
    file: 4,
  })) {
    if (piece.type !== 'data') continue;
    if (piece.file === 4) parts.push(...(piece.parts ?? []));
    else content.push(piece.raw);
  }
  return { pagemap: parsePagemap(Buffer.concat(content)), parts };
}

t.test('pages the parent has at the same address are its own, all others stay', async (t) => {
  const flags = present | lazy;
  const runs = [
    { address: at(0), pages: 4, flags },
    { address: at(4), pages: 1, flags: parent },
    { address: at(20), pages: 2, flags },
    { address: at(30), pages: 5, flags: lazy },
  ];
  const layout = new Map([
    [at(0), 0],
    [at(1), 1],
    [at(2), 2],
    [at(3), PartFrom.zeros],
    [at(20), 9],
  ]);
  const { pagemap, parts } = await rewrite({ pagesId: 3, runs }, [0, 1, 7, PartFrom.zeros, 2, 9], layout);
  t.same(pagemap, {
    pagesId: 3,
    runs: [
      { address: at(0), pages: 2, flags: parent },
      { address: at(2), pages: 1, flags },
      { address: at(3), pages: 2, flags: parent },
      { address: at(20), pages: 2, flags },
      { address: at(30), pages: 5, flags: lazy },
    ],
  });
  t.same(parts, [1, 7, 1, 2, 1, 9], 'a page that moved is no longer the parent’s');
});

t.test('without a parent all pages stay', async (t) => {
  const runs = [{ address: at(0), pages: 2, flags: present }];
  t.same(await rewrite({ pagesId: 3, runs }, [4, 5], undefined), {
    pagemap: { pagesId: 3, runs },
    parts: [2, 4],
  });
});

t.test('a pagemap and pages that do not belong together are damage', async (t) => {
  const pagemap = { pagesId: 1, runs: [{ address: at(0), pages: 2, flags: present }] };
  for (const places of [[], [1], [1, 2, 3]]) {
    await t.rejects(rewrite(pagemap, places, new Map()), { code: 'IMAGES_DAMAGED' });
  }
});
