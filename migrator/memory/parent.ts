import { PageFlag, writePagemap } from '../criu/pagemap.ts';
import type { Piece } from '../transfer/piece.ts';
import type { Layouts } from './layout.ts';
import { contentFile, pagesFile } from './page-files.ts';
import { append, type GrowingRun } from './page-runs.ts';

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
