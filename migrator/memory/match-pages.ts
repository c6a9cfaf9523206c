import { PAGE_BYTES, PartFrom } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import type { PageIndex } from './page-index.ts';

/** Leave out of the pieces of a checkpoint the pages that the other end keeps already: it is told which they are. */
export async function* matchPages(pieces: AsyncIterable<Piece>, index: PageIndex): AsyncGenerator<Piece> {
  // Looking for zeros alone would cost more time of the freeze than it saves: large ones are left out by the reader.
  if (index.size === 0) return yield* pieces;
  for await (const piece of pieces) {
    const ofPages =
      piece.type === 'data' && piece.offset % PAGE_BYTES === 0 && piece.length % PAGE_BYTES === 0;
    yield ofPages ? matchPiece(piece, index) : piece;
  }
}

function matchPiece(piece: Piece & { type: 'data' }, index: PageIndex): Piece {
  const { raw } = piece;
  const parts: number[] = [];
  let pages = 0;
  let from: number = PartFrom.payload;
  let missingBytes = 0;
  for (let at = 0; at < raw.length; at += PAGE_BYTES) {
    const page = raw.subarray(at, at + PAGE_BYTES);
    const place = index.find(page) ?? PartFrom.payload;
    if (place === PartFrom.payload) {
      // The payload is put together in place: what is written never overtakes what is still to be read.
      raw.copyWithin(missingBytes, at, at + PAGE_BYTES);
      missingBytes += PAGE_BYTES;
    }
    const goesOn = pages > 0 && (from < 0 ? place === from : place === from + pages);
    if (!goesOn) {
      if (pages > 0) parts.push(pages, from);
      pages = 0;
      from = place;
    }
    pages++;
  }
  parts.push(pages, from);
  return { ...piece, raw: raw.subarray(0, missingBytes), parts };
}
