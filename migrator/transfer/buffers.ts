/**
 * Buffers of one size, used again and again: a fresh half megabyte costs a page fault for each of its pages.
 * It keeps at most `keep` idle ones; whoever takes one bounds how many are out.
 */
export class BufferStore {
  readonly #sizeBytes: number;
  readonly #keep: number;
  readonly #idle: Buffer[] = [];

  constructor(options: { sizeBytes: number; keep: number }) {
    this.#sizeBytes = options.sizeBytes;
    this.#keep = options.keep;
  }

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes);
  }

  give(buffer: Buffer): void {
    if (this.#idle.length < this.#keep) this.#idle.push(buffer);
  }
}
