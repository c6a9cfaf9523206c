import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { translateSpoolError } from './errors.ts';

/**
 * A blob in a file, or the beginning of it. Nothing is believed of a file that was left from before: its bytes are hashed
 * again, and the digest decides in the end.
 */
export class SpooledBlob {
  readonly digest: string;
  readonly path: string;
  #hash: Hash = createHash('sha256');
  #bytes = 0;
  #whole = false;
  #file: FileHandle | undefined;

  private constructor(digest: string, path: string) {
    this.digest = digest;
    this.path = path;
  }

  /** Take up what is there. */
  static async open(digest: string, path: string, signal: AbortSignal): Promise<SpooledBlob> {
    const blob = new SpooledBlob(digest, path);
    try {
      for await (const piece of createReadStream(path, { signal, highWaterMark: 512 * 1024 })) {
        blob.#hash.update(piece);
        blob.#bytes += piece.length;
      }
    } catch (error) {
      signal.throwIfAborted();
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    blob.#whole = blob.#isWhole();
    return blob;
  }

  get sizeBytes(): number {
    return this.#bytes;
  }

  /** Whether its content is the one its digest names. */
  get whole(): boolean {
    return this.#whole;
  }

  /** Go on at its end, or at 0 from scratch. `close` is to follow, whatever happens. */
  async begin(fromByte: number): Promise<void> {
    await this.close();
    this.#file = await open(this.path, 'a', 0o600);
    if (fromByte === this.#bytes) return;
    await this.#file.truncate(0);
    this.#hash = createHash('sha256');
    this.#bytes = 0;
  }

  /** @throws HoldfastError `LAYERS_DISK_FULL` */
  async append(piece: Uint8Array): Promise<void> {
    try {
      await this.#file?.appendFile(piece);
    } catch (error) {
      throw translateSpoolError(error, this.path);
    }
    this.#hash.update(piece);
    this.#bytes += piece.length;
  }

  /** All of it was appended. @returns whether it is whole */
  async finish(): Promise<boolean> {
    await this.close();
    this.#whole = this.#isWhole();
    return this.#whole;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  #isWhole(): boolean {
    return this.digest === `sha256:${this.#hash.copy().digest('hex')}`;
  }
}
