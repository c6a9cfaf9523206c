import { PageFlag, writePagemap } from '../criu/pagemap.ts';
import type { Piece } from '../transfer/piece.ts';
import type { Layouts } from './layout.ts';
import { contentFile, pagesFile } from './page-files.ts';
import { HASH_BYTES } from './page-hash.ts';
import type { PageIndex } from './page-index.ts';
import { append, type GrowingRun } from './page-runs.ts';

/** The name under which a CRIU checkpoint looks for the one it builds upon (`CR_PARENT_LINK`). */
export const PARENT_DIR = 'parent';
/** Beside a pages image: the hashes of its pages, in their order, as `writeHash` writes them. CRIU does not look at it. */
export const hashesFile = (pagesId: number) => `hashes-${pagesId}.img`;

/**
 * The memory sent ahead, as a checkpoint for the final one to build upon: written at the destination while the app
 * still runs, so that in the freeze only what differs has to be. With it go the hashes of its pages: whoever has both can
 * ask which of them still hold, and need not read them for it.
 *
 * @param index what is kept at the other end, by the places of the layouts
 */
export function* parentPieces(layouts: Layouts, index: PageIndex): Generator<Piece> {
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
    const hashes = Buffer.allocUnsafe(places.length * HASH_BYTES);
    for (const [page, place] of places.entries()) index.writeHash(place, hashes, page * HASH_BYTES);
    yield* contentFile(file++, `${PARENT_DIR}/${hashesFile(pid)}`, hashes);
  }
}
