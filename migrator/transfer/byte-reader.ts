import { truncated } from './errors.ts';

/** Reads exact numbers of bytes from a stream of pieces of any size. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  readonly #onRead: (sizeBytes: number) => void;
  #rest: Buffer = Buffer.alloc(0);

  /** `onRead` hears of every piece as it is taken from the stream. */
  constructor(source: AsyncIterable<Buffer>, onRead: (sizeBytes: number) => void) {
    this.#source = source[Symbol.asyncIterator]();
    this.#onRead = onRead;
  }

  /** Fill `target`. @throws HoldfastError `IMAGES_TRUNCATED` when the stream ends first */
  async fill(target: Buffer): Promise<Buffer> {
    for (let filled = 0; filled < target.length; ) {
      if (this.#rest.length === 0) await this.#more();
      const size = Math.min(this.#rest.length, target.length - filled);
      this.#rest.copy(target, filled, 0, size);
      this.#rest = this.#rest.subarray(size);
      filled += size;
    }
    return target;
  }

  /** Whether the stream has ended and everything of it was read. */
  async ended(): Promise<boolean> {
    if (this.#rest.length > 0) return false;
    const next = await this.#source.next();
    if (next.done) return true;
    this.#rest = next.value;
    return this.#rest.length === 0 && (await this.ended());
  }

  async #more(): Promise<void> {
    const next = await this.#source.next();
    if (next.done) throw truncated();
    this.#rest = next.value;
    this.#onRead(next.value.length);
  }
}
