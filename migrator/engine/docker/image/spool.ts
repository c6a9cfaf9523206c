import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { layersDiskFull } from './errors.ts';
import { SpooledBlob } from './spooled-blob.ts';
import { within } from './within.ts';

/** What broken transfers left is of use for a while, and must not pile up. */
const OLDEST_MS = 3 * 24 * 60 * 60 * 1000;
const MOST_LEFT_BYTES = 8 * 1024 ** 3;
/** Never taken from the disk: the agent writes its records there. */
const RESERVE_BYTES = 64 * 1024 ** 2;

/**
 * Where blobs are put while they come, in the agent's state directory. It belongs to one image at a time: a layer that two
 * need comes once, and then the second one's Docker has it.
 */
export class ImageSpool {
  readonly #dir: string;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Do `work` when nobody else does. */
  async take<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const before = this.#turn;
    const mine = within(before, signal).then(work);
    this.#turn = Promise.allSettled([before, mine]);
    return mine;
  }

  /** Take up what there is of these blobs, and throw away what has been lying about for too long, or is too much. */
  async open(digests: readonly string[], signal: AbortSignal): Promise<SpooledBlob[]> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await this.sweep(digests);
    const blobs: SpooledBlob[] = [];
    for (const digest of digests) blobs.push(await SpooledBlob.open(digest, this.#path(digest), signal));
    return blobs;
  }

  /** @throws HoldfastError `LAYERS_DISK_FULL` when there is no room for this much more */
  async expect(sizeBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#dir);
    if (sizeBytes + RESERVE_BYTES > bavail * bsize) throw layersDiskFull(this.#dir);
  }

  async remove(blobs: readonly SpooledBlob[]): Promise<void> {
    for (const blob of blobs) {
      await blob.close();
      await rm(blob.path, { force: true });
    }
  }

  /** Keep of what was left only the newest, within bounds, besides `inUse`. */
  async sweep(inUse: readonly string[]): Promise<void> {
    const spared = new Set(inUse.map((digest) => this.#path(digest)));
    const left: { file: string; sizeBytes: number; ageMs: number }[] = [];
    for (const name of await readdir(this.#dir)) {
      const file = path.join(this.#dir, name);
      if (spared.has(file)) continue;
      const { size, mtimeMs } = await stat(file);
      left.push({ file, sizeBytes: size, ageMs: Date.now() - mtimeMs });
    }
    let keptBytes = 0;
    for (const { file, sizeBytes, ageMs } of left.sort((one, other) => one.ageMs - other.ageMs)) {
      keptBytes += sizeBytes;
      if (ageMs > OLDEST_MS || keptBytes > MOST_LEFT_BYTES) await rm(file, { force: true });
    }
  }

  #path(digest: string): string {
    return path.join(this.#dir, digest.replace(':', '-'));
  }
}
