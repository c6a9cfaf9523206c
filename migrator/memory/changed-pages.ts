import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Pagemap, type PageRun, parsePagemap } from '../criu/pagemap.ts';
import { PAGE_BYTES, PartFrom } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import type { Later } from './later.ts';
import type { Layouts } from './layout.ts';
import { isLeft, type LeftMemory } from './left-memory.ts';
import { hashOf } from './page-hash.ts';
import type { PageIndex } from './page-index.ts';
import { type PageBuffers, PageKeeper } from './page-keeper.ts';
import { rewritePagemap } from './rewrite-pagemap.ts';

/** What becomes of a file of the checkpoint. */
type Fate =
  | { readonly kind: 'as-it-is'; readonly file: number }
  /** CRIU's pages: those not known yet are sent to be kept, while the rest is still being written. */
  | { readonly kind: 'pages'; readonly places: number[] }
  /** Says where the pages belong: written anew once all of them are known. */
  | { readonly kind: 'pagemap' };

/**
 * Turn a checkpoint that is being written to `dir` into one that builds upon what was sent ahead: of its memory only
 * the pages travel that were not met before, and only those are written that the parent does not have in their place.
 *
 * @param options.left memory that is not in the images, to be put into them; without it, what is left in place stays so
 * @param options.later what of that memory follows when the app runs on, told once all pagemaps are there
 */
export async function* changedPages(
  pieces: AsyncIterable<Piece>,
  options: {
    readonly dir: string;
    readonly index: PageIndex;
    readonly layouts: Layouts;
    readonly buffers: PageBuffers;
    readonly left?: LeftMemory;
    readonly later?: ((pagemaps: Iterable<Pagemap>) => Later) | undefined;
  },
): AsyncGenerator<Piece> {
  const { dir, layouts, buffers, left } = options;
  const keeper = new PageKeeper(options.index, buffers);
  const fates: Fate[] = [];
  const pagemaps: string[] = [];
  const placesOf = new Map<number, number[]>();
  let files = 0;
  for await (const piece of pieces) {
    if (piece.type === 'keep') continue; // A checkpoint has none.
    if (piece.type === 'file') {
      const pagesId = /^pages-(\d+)\.img$/.exec(piece.path)?.[1];
      if (pagesId !== undefined) {
        const places: number[] = [];
        placesOf.set(Number(pagesId), places);
        fates.push({ kind: 'pages', places });
      } else if (/^pagemap-.*\.img$/.test(piece.path)) {
        pagemaps.push(piece.path);
        fates.push({ kind: 'pagemap' });
      } else {
        fates.push({ kind: 'as-it-is', file: files++ });
        yield piece;
      }
      continue;
    }
    const fate = fates[piece.file];
    if (fate?.kind === 'as-it-is') yield { ...piece, file: fate.file };
    else {
      if (fate?.kind === 'pages') locate(piece, keeper, fate.places);
      if (piece.type === 'data' && piece.buffer) buffers.give(piece.buffer);
      yield* keeper.full();
    }
  }
  const parsed = new Map<string, Pagemap>();
  for (const name of pagemaps) parsed.set(name, parsePagemap(await readFile(path.join(dir, name))));
  const later = options.later?.(parsed.values());
  for (const [name, pagemap] of parsed) {
    const pid = Number(/^pagemap-(\d+)\.img$/.exec(name)?.[1]);
    const places = placesOf.get(pagemap.pagesId) ?? [];
    const isRead = (run: PageRun) => later?.from !== 'source' || later.eager.has(run);
    const pages =
      left && pagemap.runs.some(isLeft) ? left.pages(pid, pagemap.runs.filter(isRead)) : undefined;
    try {
      const layout = layouts.get(pid);
      const rewriting = { name, pagemap, places, layout, left: pages, later };
      yield* rewritePagemap({ ...rewriting, keeper, buffers, file: files });
      files += 2;
    } finally {
      await pages?.close();
    }
  }
}

/** Where each page of a piece of CRIU's pages is kept, or will be. */
function locate(piece: Piece, keeper: PageKeeper, places: number[]): void {
  if (piece.type === 'zero') {
    for (let at = 0; at < piece.length; at += PAGE_BYTES) places.push(PartFrom.zeros);
  } else if (piece.type === 'data') {
    for (let at = 0; at < piece.length; at += PAGE_BYTES) {
      const page = piece.raw.subarray(at, at + PAGE_BYTES);
      places.push(keeper.keep(page, hashOf(page)));
    }
  }
}
