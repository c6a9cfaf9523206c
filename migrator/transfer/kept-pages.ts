import { HoldfastError } from '../errors.ts';
import { damaged } from './errors.ts';
import { CHUNK_BYTES, PAGE_BYTES, PartFrom } from './frame.ts';

const PAGES_IN_CHUNK = CHUNK_BYTES / PAGE_BYTES;
const zeros = Buffer.alloc(CHUNK_BYTES);

/**
 * Memory pages that were sent ahead of a checkpoint. They are numbered in the order they came, and a checkpoint's pieces
 * name those they repeat. Held in this process's memory: an agent that dies loses nothing but a move.
 */
export class KeptPages {
  readonly #limitBytes: number;
  /** Whole chunks but the last, so that a page's number tells where it is. */
  readonly #chunks: Uint8Array[] = [];
  #sizeBytes = 0;
  #adding: Promise<void> = Promise.resolve();

  constructor(options: { limitBytes: number }) {
    this.#limitBytes = options.limitBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
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
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.length !== CHUNK_BYTES) throw damaged('kept pages after the last ones');
    if (this.#sizeBytes + raw.length > this.#limitBytes) {
      throw new HoldfastError(
        'IMAGES_TOO_LARGE',
        `more pages came ahead than the ${this.#limitBytes} bytes there is room for`,
        { mend: 'run the same version of Holdfast everywhere' },
      );
    }
    this.#chunks.push(raw);
    this.#sizeBytes += raw.length;
  }

  #view(place: number, sizeBytes: number, views: Uint8Array[]): void {
    for (let done = 0; done < sizeBytes; ) {
      const page = place + done / PAGE_BYTES;
      const chunk = this.#chunks[Math.floor(page / PAGES_IN_CHUNK)];
      const start = (page % PAGES_IN_CHUNK) * PAGE_BYTES;
      const view = chunk?.subarray(start, start + sizeBytes - done);
      if (view === undefined || view.length === 0) throw damaged('a page that was never sent');
      views.push(view);
      done += view.length;
    }
  }
}
