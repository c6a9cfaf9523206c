import { CHUNK_BYTES, PAGE_BYTES } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';

const PAGES_AT_ONCE = CHUNK_BYTES / PAGE_BYTES;
const NO_PAYLOAD = Buffer.alloc(0);

/** A file of pages the other end keeps already: it is told which, in their order. */
export function* pagesFile(file: number, path: string, places: readonly number[]): Generator<Piece> {
  yield { type: 'file', path };
  for (let at = 0; at < places.length; at += PAGES_AT_ONCE) {
    const some = places.slice(at, at + PAGES_AT_ONCE);
    yield {
      type: 'data',
      file,
      offset: at * PAGE_BYTES,
      length: some.length * PAGE_BYTES,
      raw: NO_PAYLOAD,
      parts: partsOf(some),
    };
  }
  yield { type: 'file-end', file, sizeBytes: places.length * PAGE_BYTES };
}

/** A file whose content is at hand. */
export function* contentFile(file: number, path: string, content: Buffer): Generator<Piece> {
  yield { type: 'file', path };
  for (let offset = 0; offset < content.length; offset += CHUNK_BYTES) {
    const raw = content.subarray(offset, offset + CHUNK_BYTES);
    yield { type: 'data', file, offset, length: raw.length, raw };
  }
  yield { type: 'file-end', file, sizeBytes: content.length };
}

/** Pages that are kept side by side make one part. See `DataFrame`. */
function partsOf(places: readonly number[]): number[] {
  const parts: number[] = [];
  let pages = 0;
  let from = 0;
  for (const place of places) {
    const goesOn = pages > 0 && place === (from < 0 ? from : from + pages);
    if (!goesOn) {
      if (pages > 0) parts.push(pages, from);
      from = place;
      pages = 0;
    }
    pages++;
  }
  if (pages > 0) parts.push(pages, from);
  return parts;
}
