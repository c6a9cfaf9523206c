import { PageFlag, type Pagemap, type PageRun, writePagemap } from '../criu/pagemap.ts';
import { HoldfastError } from '../errors.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import type { Layout, Layouts } from './layout.ts';
import { contentFile, pagesFile } from './page-files.ts';

/** The name under which a CRIU checkpoint looks for the one it builds upon (`CR_PARENT_LINK`). */
export const PARENT_DIR = 'parent';

/**
 * The memory sent ahead, as a checkpoint for the final one to build upon: written at the destination while the app
 * still runs, so that in the freeze only what differs has to be.
 */
export function* parentPieces(layouts: Layouts): Generator<Piece> {
  let file = 0;
  for (const [pid, layout] of layouts) {
    const runs: GrowingRun[] = [];
    const places: number[] = [];
    for (const [address, place] of layout) {
      append(runs, address, 1, PageFlag.present);
      places.push(place);
    }
    if (places.length === 0) continue; // Nothing would build upon it.
    const pagemap = writePagemap({ pagesId: pid, runs });
    yield* pagesFile(file++, `${PARENT_DIR}/pages-${pid}.img`, places);
    yield* contentFile(file++, `${PARENT_DIR}/pagemap-${pid}.img`, pagemap);
  }
}

/**
 * A pagemap with all pages that the parent has at the same address taken out.
 *
 * @param places of the pages in its pages image, in their order
 * @returns the pagemap that refers to the parent, and the places of the pages that remain
 */
export function againstParent(
  pagemap: Pagemap,
  places: readonly number[],
  layout: Layout,
): { pagemap: Pagemap; places: number[] } {
  const runs: GrowingRun[] = [];
  const remaining: number[] = [];
  let next = 0;
  for (const run of pagemap.runs) {
    if ((run.flags & PageFlag.present) === 0) {
      append(runs, run.address, run.pages, run.flags);
      continue;
    }
    for (let page = 0; page < run.pages; page++) {
      const address = run.address + page * PAGE_BYTES;
      const place = places[next++];
      if (place === undefined) throw unequal();
      const isParents = layout.get(address) === place;
      append(runs, address, 1, isParents ? PageFlag.parent : run.flags);
      if (!isParents) remaining.push(place);
    }
  }
  if (next !== places.length) throw unequal();
  return { pagemap: { pagesId: pagemap.pagesId, runs }, places: remaining };
}

type GrowingRun = { -readonly [Key in keyof PageRun]: PageRun[Key] };

/** Neighbours of the same kind make one run, which grows in place: this is done for each page while the app is frozen. */
function append(runs: GrowingRun[], address: number, pages: number, flags: number): void {
  const last = runs.at(-1);
  if (last?.flags === flags && last.address + last.pages * PAGE_BYTES === address) last.pages += pages;
  else runs.push({ address, pages, flags });
}

function unequal(): HoldfastError {
  return new HoldfastError('IMAGES_DAMAGED', 'a pagemap of CRIU and its pages do not belong together', {
    mend: 'run a version of CRIU that this release was tested with',
  });
}
