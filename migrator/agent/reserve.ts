import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** POSIX shared memory: a file here is memory that no disk stands behind. */
const SHARED_MEMORY_DIR = '/dev/shm';
const CHUNK_BYTES = 1024 * 1024;

/**
 * Memory set aside for a restore while its app still runs elsewhere. Where the host is itself a virtual machine, a page
 * that it has not used for a while is fetched from the machine below when it is touched, which takes some 10 µs instead of
 * 0.5 and can be most of a restore. What was set aside a moment ago is at hand. See docs/criu.md.
 */
export class Reserve {
  readonly #filled: Promise<FileHandle | undefined>;
  #isReleased = false;

  /** It fills by and by. Where there is no room for all of it, nothing is set aside. */
  constructor(sizeBytes: number) {
    // The restore then takes what it needs as it finds it.
    this.#filled = this.#fill(sizeBytes).catch(() => undefined);
  }

  /** Settles when all is set aside that can be. */
  async filled(): Promise<void> {
    await this.#filled;
  }

  /** Give it back. Settles when it is free. */
  async release(): Promise<void> {
    this.#isReleased = true;
    await (await this.#filled)?.close();
  }

  async #fill(sizeBytes: number): Promise<FileHandle> {
    const path = join(SHARED_MEMORY_DIR, `holdfast-${randomUUID()}`);
    const file = await open(path, 'wx', 0o600);
    try {
      await unlink(path); // It ends with this process at the latest.
      const zeros = Buffer.alloc(CHUNK_BYTES);
      for (let at = 0; at < sizeBytes && !this.#isReleased; at += CHUNK_BYTES) {
        await file.write(zeros, 0, Math.min(CHUNK_BYTES, sizeBytes - at), at);
      }
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }
}
