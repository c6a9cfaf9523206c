import { CHUNK_BYTES, PAGE_BYTES, PartFrom } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import type { PageBuffers } from './page-keeper.ts';

const PAGES_AT_ONCE = CHUNK_BYTES / PAGE_BYTES;
const NO_PAYLOAD = Buffer.alloc(0);

/** A file of pages that the other end keeps, or that come with it: it is told which, in their order, a piece at a time. */
export class PagesFile {
  readonly #file: number;
  #places: number[] = [];
  #sizeBytes = 0;
  #payload: Buffer | undefined;
  #payloadBytes = 0;

  constructor(file: number) {
    this.#file = file;
  }

  /** Have a page come with the file. @returns what to `add` next */
  bring(page: Buffer, buffers: PageBuffers): number {
    this.#payload ??= buffers.take();
    page.copy(this.#payload, this.#payloadBytes);
    this.#payloadBytes += PAGE_BYTES;
    return PartFrom.payload;
  }

  add(place: number): void {
    this.#places.push(place);
  }

  /** Whether there is a whole piece. */
  get isFull(): boolean {
    return this.#places.length === PAGES_AT_ONCE;
  }

  /** What was added since the last one, if anything was. */
  *piece(): Generator<Piece> {
    if (this.#places.length === 0) return;
    const length = this.#places.length * PAGE_BYTES;
    const parts = partsOf(this.#places);
    const buffer = this.#payload;
    const payload = buffer ? { raw: buffer.subarray(0, this.#payloadBytes), buffer } : { raw: NO_PAYLOAD };
    yield { type: 'data', file: this.#file, offset: this.#sizeBytes, length, ...payload, parts };
    this.#sizeBytes += length;
    this.#places = [];
    this.#payload = undefined;
    this.#payloadBytes = 0;
  }

  end(): Piece {
    return { type: 'file-end', file: this.#file, sizeBytes: this.#sizeBytes };
  }
}

/** The whole of such a file. */
export function* pagesFile(file: number, path: string, places: readonly number[]): Generator<Piece> {
  const image = new PagesFile(file);
  yield { type: 'file', path };
  for (const place of places) {
    image.add(place);
    if (image.isFull) yield* image.piece();
  }
  yield* image.piece();
  yield image.end();
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
