import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Piece } from '../transfer/piece.ts';
import type { PageIndex } from './page-index.ts';

export interface PageBuffers {
  take(): Buffer;
  give(buffer: Buffer): void;
}

/** Collects the pages that the other end does not keep yet, into pieces to be sent. */
export class PageKeeper {
  readonly #index: PageIndex;
  readonly #buffers: PageBuffers;
  readonly #full: Piece[] = [];
  #buffer: Buffer | undefined;
  #filledBytes = 0;

  constructor(index: PageIndex, buffers: PageBuffers) {
    this.#index = index;
    this.#buffers = buffers;
  }

  /** See `PageIndex`. */
  get byContent(): boolean {
    return this.#index.byContent;
  }

  /** Where the page is kept, if it is. */
  find(hashes: Uint32Array, at = 0): number | undefined {
    return this.#index.find(hashes, at);
  }

  /** Where the page is kept, or will be once the pieces are sent. @param hashes the page's, at `at` */
  keep(page: Buffer, hashes: Uint32Array, at = 0): number {
    const known = this.#index.size;
    const place = this.#index.place(hashes, at);
    if (this.#index.size === known) return place;
    this.#buffer ??= this.#buffers.take();
    page.copy(this.#buffer, this.#filledBytes);
    this.#filledBytes += PAGE_BYTES;
    if (this.#filledBytes === this.#buffer.length) this.#close(this.#buffer);
    return place;
  }

  /** The pieces that are full. To be sent before many more pages are kept. */
  *full(): Generator<Piece> {
    for (let piece = this.#full.shift(); piece !== undefined; piece = this.#full.shift()) yield piece;
  }

  /** All that there is, full or not. */
  *rest(): Generator<Piece> {
    if (this.#buffer) this.#close(this.#buffer);
    yield* this.full();
  }

  #close(buffer: Buffer): void {
    this.#full.push({ type: 'keep', raw: buffer.subarray(0, this.#filledBytes), buffer });
    this.#buffer = undefined;
    this.#filledBytes = 0;
  }
}
