import { HoldfastError } from '../errors.ts';
import { damaged } from './errors.ts';
import { CHUNK_BYTES, PAGE_BYTES, PartFrom } from './frame.ts';

const zeros = Buffer.alloc(CHUNK_BYTES);

/**
 * Memory pages that were sent ahead of a checkpoint. They are numbered in the order they came, and a checkpoint's pieces
 * name those they repeat. Held in this process's memory: an agent that dies loses nothing but a move.
 */
export class KeptPages {
  readonly #limitAheadBytes: number;
  #limitBytes: number;
  readonly #chunks: { readonly firstPage: number; readonly bytes: Uint8Array }[] = [];
  #sizeBytes = 0;
  /** What was there when the checkpoint itself began to come. */
  #ahead: { readonly chunks: number; readonly sizeBytes: number } | undefined;
  #adding: Promise<void> = Promise.resolve();

  constructor(options: { limitBytes: number }) {
    this.#limitAheadBytes = options.limitBytes;
    this.#limitBytes = options.limitBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * The checkpoint itself comes: what of it was not sent ahead is kept as well, after the pages sent ahead. What an
   * attempt before this one brought of it is forgotten: its sender does not count on it, and numbers the pages anew.
   */
  async beginCheckpoint(moreBytes: number): Promise<void> {
    await this.#adding.catch(() => {}); // Told already, to whom it failed.
    this.#adding = Promise.resolve();
    this.#ahead ??= { chunks: this.#chunks.length, sizeBytes: this.#sizeBytes };
    this.#chunks.length = this.#ahead.chunks;
    this.#sizeBytes = this.#ahead.sizeBytes;
    this.#limitBytes = this.#limitAheadBytes + moreBytes;
  }

  /** Keep these pages too, after those that came before. Settles when the next ones may come. */
  async add(pages: Promise<Uint8Array>): Promise<void> {
    const before = this.#adding;
    this.#adding = (async () => {
      const [raw] = await Promise.all([pages, before]);
      this.#append(raw);
    })();
    this.#adding.catch(() => {}); // Told to whoever comes next.
    await before;
  }

  /** Settles when all pages are in place. @throws what an earlier `add` met */
  async settled(): Promise<void> {
    await this.#adding;
  }

  /**
   * What a piece of a file is made of, in order, without a copy.
   *
   * @param parts see `DataFrame`
   * @throws HoldfastError `IMAGES_DAMAGED` when the parts do not make up the piece
   */
  assemble(parts: readonly number[], payload: Uint8Array, length: number): Uint8Array[] {
    const views: Uint8Array[] = [];
    let filled = 0;
    let taken = 0;
    if (parts.length % 2 !== 0) throw damaged('half a part');
    for (let part = 0; part + 1 < parts.length; part += 2) {
      const sizeBytes = (parts[part] ?? 0) * PAGE_BYTES;
      const from = parts[part + 1] ?? PartFrom.zeros;
      if (sizeBytes <= 0 || filled + sizeBytes > length) throw damaged('parts that do not fit their piece');
      if (from === PartFrom.zeros) views.push(zeros.subarray(0, sizeBytes));
      else if (from === PartFrom.payload) {
        views.push(payload.subarray(taken, taken + sizeBytes));
        taken += sizeBytes;
      } else this.#view(from, sizeBytes, views);
      filled += sizeBytes;
    }
    if (taken !== payload.length || filled !== length) throw damaged('parts that do not make up their piece');
    return views;
  }

  #append(raw: Uint8Array): void {
    if (raw.length % PAGE_BYTES !== 0) throw damaged('kept pages that are not whole');
    if (this.#sizeBytes + raw.length > this.#limitBytes) {
      throw new HoldfastError(
        'IMAGES_TOO_LARGE',
        `more pages came ahead than the ${this.#limitBytes} bytes there is room for`,
        { mend: 'run the same version of Holdfast everywhere' },
      );
    }
    this.#chunks.push({ firstPage: this.#sizeBytes / PAGE_BYTES, bytes: raw });
    this.#sizeBytes += raw.length;
  }

  #view(place: number, sizeBytes: number, views: Uint8Array[]): void {
    for (let done = 0; done < sizeBytes; ) {
      const page = place + done / PAGE_BYTES;
      const chunk = this.#chunkOf(page);
      const start = (page - (chunk?.firstPage ?? 0)) * PAGE_BYTES;
      const view = chunk?.bytes.subarray(start, start + sizeBytes - done);
      if (view === undefined || view.length === 0) throw damaged('a page that was never sent');
      views.push(view);
      done += view.length;
    }
  }

  /** The last chunk that begins at the page or before it. */
  #chunkOf(page: number): { readonly firstPage: number; readonly bytes: Uint8Array } | undefined {
    let low = 0;
    let high = this.#chunks.length;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#chunks[middle]?.firstPage ?? 0) <= page) low = middle;
      else high = middle;
    }
    return this.#chunks[low];
  }
}
