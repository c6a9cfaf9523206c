import { PageFlag, type Pagemap, writePagemap } from '../criu/pagemap.ts';
import { HoldfastError } from '../errors.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import type { Later } from './later.ts';
import type { Layout } from './layout.ts';
import { isLeft, type LeftPages } from './left-memory.ts';
import { contentFile, PagesFile } from './page-files.ts';
import type { PageBuffers, PageKeeper } from './page-keeper.ts';
import { append, type GrowingRun } from './page-runs.ts';

export interface Rewriting {
  readonly name: string;
  readonly pagemap: Pagemap;
  /** Of the pages in its pages image, in their order. */
  readonly places: readonly number[];
  /** What the parent has of the process. */
  readonly layout: Layout | undefined;
  /** Pages that are not in the pages image and are to be in it; without them they stay where they are. */
  readonly left: LeftPages | undefined;
  /** What of them follows when the app runs on; without it nothing does. */
  readonly later?: Later | undefined;
  readonly keeper: PageKeeper;
  readonly buffers: PageBuffers;
  /** The number of the next file. */
  readonly file: number;
}

/**
 * A pagemap and its pages image, two files: pages that the parent has at the same address are the parent's; the others
 * are put together, piece by piece, of what the other end keeps, and, where contents are not gone by, of their own bytes.
 * Those that follow are `lazy`, and the parent's as well where it is known to have them.
 *
 * @throws HoldfastError `IMAGES_DAMAGED`, `MEMORY_UNREADABLE`
 */
export async function* rewritePagemap(rewriting: Rewriting): AsyncGenerator<Piece> {
  const { name, pagemap, places, layout, left, later, keeper, buffers, file } = rewriting;
  const image = new PagesFile(file);
  const staysHere = later?.from === 'source';
  const keep = (page: Buffer, hashes: Uint32Array, at: number) => {
    if (staysHere) return keeper.find(hashes, at);
    return keeper.byContent ? keeper.keep(page, hashes, at) : image.bring(page, buffers);
  };
  const runs: GrowingRun[] = [];
  let next = 0;
  yield { type: 'file', path: `pages-${pagemap.pagesId}.img` };
  for (const run of pagemap.runs) {
    const inPlace = left !== undefined && isLeft(run);
    if ((run.flags & PageFlag.present) === 0 && !inPlace) {
      append(runs, run.address, run.pages, run.flags);
      continue;
    }
    const follows = inPlace && later !== undefined && !later.eager.has(run);
    if (follows && staysHere) {
      append(runs, run.address, run.pages, run.flags);
      continue;
    }
    for (let page = 0; page < run.pages; page++) {
      const address = run.address + page * PAGE_BYTES;
      let place: number | undefined;
      if (inPlace) {
        if (!left.has(address)) await left.advance();
        place = left.take(address, keep);
        if (place === undefined) {
          append(runs, address, 1, run.flags);
          continue;
        }
      } else {
        place = places[next++];
        if (place === undefined) throw unequal();
      }
      if (layout?.get(address) === place) {
        append(runs, address, 1, follows ? PageFlag.parent | PageFlag.lazy : PageFlag.parent);
      } else {
        append(runs, address, 1, inPlace ? PageFlag.present : run.flags);
        image.add(place);
        if (image.isFull) yield* settled(image, keeper);
      }
    }
  }
  if (next !== places.length) throw unequal();
  yield* settled(image, keeper);
  yield image.end();
  yield* contentFile(file + 1, name, writePagemap({ pagesId: pagemap.pagesId, runs }));
}

/** What the file has got so far. The pages it is made of go before. */
function* settled(image: PagesFile, keeper: PageKeeper): Generator<Piece> {
  yield* keeper.rest();
  yield* image.piece();
}

function unequal(): HoldfastError {
  return new HoldfastError('IMAGES_DAMAGED', 'a pagemap of CRIU and its pages do not belong together', {
    mend: 'run a version of CRIU that this release was tested with',
  });
}
