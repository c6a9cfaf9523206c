import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { PageFlag, type PageRun, parsePagemap, writePagemap } from '../../../migrator/criu/pagemap.ts';
import { makeStoreImages } from '../../../migrator/pager/store-images.ts';
import { PAGE_BYTES } from '../../../migrator/transfer/frame.ts';

const { parent, present, lazy } = PageFlag;
const at = (number: number) => 0x7f00_0000_0000 + number * PAGE_BYTES;
const run = (first: number, pages: number, flags: number): PageRun => ({ address: at(first), pages, flags });

const imagesDir = await mkdtemp(path.join(tmpdir(), 'holdfast-store-'));
t.teardown(() => rm(imagesDir, { recursive: true }));

async function write(dir: string, pid: number, pagesId: number, runs: PageRun[], pages: string) {
  await writeFile(path.join(dir, `pagemap-${pid}.img`), writePagemap({ pagesId, runs }));
  await writeFile(path.join(dir, `pages-${pagesId}.img`), pages);
}

t.test('CRIU’s daemon is given what follows as its own, out of the memory sent ahead', async (t) => {
  const parentDir = path.join(imagesDir, 'parent');
  await mkdir(parentDir);
  // The numbers of both files of pages are those of the other process on purpose.
  await write(parentDir, 1, 7, [run(0, 10, present), run(20, 5, present), run(30, 2, present)], 'sent ahead');
  const follows = [
    run(0, 2, parent),
    run(2, 3, parent | lazy),
    run(5, 1, present),
    run(6, 1, parent | lazy),
    run(8, 2, parent | lazy),
    run(10, 4, present),
    run(20, 5, parent | lazy),
  ];
  await write(imagesDir, 1, 1, follows, 'changed');
  await write(imagesDir, 7, 2, [run(0, 3, present)], 'all of it');
  for (const file of ['inventory.img', 'mm-1.img', 'pagemap-shmem-9.img'])
    await writeFile(path.join(imagesDir, file), file);
  const dir = await makeStoreImages(imagesDir);
  const images = [
    'inventory.img',
    'mm-1.img',
    'pagemap-1.img',
    'pagemap-7.img',
    'pages-1.img',
    'pages-7.img',
  ];
  t.same((await readdir(dir)).sort(), images);
  t.same(parsePagemap(await readFile(path.join(dir, 'pagemap-1.img'))), {
    pagesId: 1,
    runs: [
      run(0, 2, present),
      run(2, 3, present | lazy),
      run(5, 1, present),
      run(6, 1, present | lazy),
      run(7, 1, present),
      run(8, 2, present | lazy),
      run(20, 5, present | lazy),
      run(30, 2, present),
    ],
  });
  t.equal(await readFile(path.join(dir, 'pages-1.img'), 'utf8'), 'sent ahead');
  t.same(parsePagemap(await readFile(path.join(dir, 'pagemap-7.img'))).runs, [run(0, 3, present)]);
  t.equal(await readFile(path.join(dir, 'pages-7.img'), 'utf8'), 'all of it');
});
