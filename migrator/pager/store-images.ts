import { link, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PageFlag, type PageRun, parsePagemap, writePagemap } from '../criu/pagemap.ts';
import { PARENT_DIR } from '../memory/parent.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { pagemapsIn } from './lazy-memory.ts';

const STORE_IMAGES_DIR = 'store';
const OF_PAGES = /^pages-|^pagemap-/;
const FOLLOWS = PageFlag.lazy | PageFlag.parent;

/**
 * Make what `criu lazy-pages` can serve by itself, of a checkpoint whose lazy pages are all in the parent: a directory
 * with the checkpoint's images and the parent's memory, in which those pages are the lazy ones. It reads them from the file, many
 * at a time, where it would ask a page server for each.
 *
 * @returns the directory
 * @throws HoldfastError `IMAGES_DAMAGED`
 */
export async function makeStoreImages(imagesDir: string): Promise<string> {
  const dir = path.join(imagesDir, STORE_IMAGES_DIR);
  await mkdir(dir, { mode: 0o700 });
  const entries = await readdir(imagesDir, { withFileTypes: true });
  const images = entries.filter((entry) => entry.isFile() && !OF_PAGES.test(entry.name));
  await Promise.all(images.map(({ name }) => link(path.join(imagesDir, name), path.join(dir, name))));
  const parentDir = path.join(imagesDir, PARENT_DIR);
  for (const [pid, file] of await pagemapsIn(imagesDir)) {
    const name = path.basename(file);
    const pagemap = parsePagemap(await readFile(file));
    const fromParent = pagemap.runs.some(isInStore);
    const whole = fromParent ? parsePagemap(await readFile(path.join(parentDir, name))) : pagemap;
    const runs = fromParent ? markLazy(whole.runs, pagemap.runs) : whole.runs;
    // Both number their files, so each is called after its process.
    await writeFile(path.join(dir, name), writePagemap({ pagesId: pid, runs }), { mode: 0o600 });
    const pages = path.join(fromParent ? parentDir : imagesDir, `pages-${whole.pagesId}.img`);
    await link(pages, path.join(dir, `pages-${pid}.img`));
  }
  return dir;
}

/** Whether these pages follow, and the parent has them. */
export function isInStore({ flags }: PageRun): boolean {
  return (flags & FOLLOWS) === FOLLOWS;
}

/** The parent's runs, each cut where one of those that follow begins or ends. Both are in the order of addresses. */
function markLazy(parent: readonly PageRun[], following: readonly PageRun[]): PageRun[] {
  const lazy = following.filter(isInStore);
  const runs: PageRun[] = [];
  let next = 0;
  for (const { address, pages, flags } of parent) {
    const end = address + pages * PAGE_BYTES;
    for (let at = address; at < end; ) {
      while (next < lazy.length && endOf(lazy[next]) <= at) next++;
      const one = lazy[next];
      const start = one === undefined ? end : Math.min(one.address, end);
      const isLazy = start <= at;
      const until = isLazy ? Math.min(endOf(one), end) : start;
      runs.push({
        address: at,
        pages: (until - at) / PAGE_BYTES,
        flags: isLazy ? flags | PageFlag.lazy : flags,
      });
      at = until;
    }
  }
  return runs;
}

function endOf(run: PageRun | undefined): number {
  return run === undefined ? Number.POSITIVE_INFINITY : run.address + run.pages * PAGE_BYTES;
}
