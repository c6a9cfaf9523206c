import { mkdir, readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { within } from '../../../within.ts';
import { layersDiskFull } from './errors.ts';
import { SpooledBlob } from './spooled-blob.ts';

/** What broken transfers left is of use for a while, and must not pile up. */
const OLDEST_MS = 3 * 24 * 60 * 60 * 1000;
const MOST_LEFT_BYTES = 8 * 1024 ** 3;
/** Never taken from the disk: the agent writes its records there. */
const RESERVE_BYTES = 64 * 1024 ** 2;

interface Holder {
  readonly digests: ReadonlySet<string>;
  readonly released: Promise<void>;
}

/** Where blobs are put while they come, in the agent's state directory. Each is in the hands of one image at a time. */
export class ImageSpool {
  readonly #dir: string;
  readonly #holders = new Set<Holder>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Take blobs for oneself, if nobody has any of them.
   *
   * @returns what gives them back; undefined when another image had some and is done with them: it may be that they are not
   * lacking any more
   */
  async take(digests: readonly string[], signal: AbortSignal): Promise<(() => void) | undefined> {
    const others = [...this.#holders].filter((holder) =>
      digests.some((digest) => holder.digests.has(digest)),
    );
    if (others.length > 0) {
      await within(Promise.all(others.map(({ released }) => released)), signal);
      return undefined;
    }
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holder = { digests: new Set(digests), released };
    this.#holders.add(holder);
    return () => {
      this.#holders.delete(holder);
      release();
    };
  }

  /** Take up what there is of blobs that were taken, and throw away what has been lying about for too long. */
  async open(digests: readonly string[], signal: AbortSignal): Promise<SpooledBlob[]> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await this.#sweep();
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

  /** Keep of what nobody has in hand only the newest, within bounds. */
  async #sweep(): Promise<void> {
    const inHand = [...this.#holders].flatMap(({ digests }) => [...digests]);
    const spared = new Set(inHand.map((digest) => this.#path(digest)));
    const left: { file: string; sizeBytes: number; ageMs: number }[] = [];
    for (const name of await readdir(this.#dir)) {
      const file = path.join(this.#dir, name);
      if (spared.has(file)) continue;
      const found = await stat(file).catch(() => undefined); // Another image may be done with it by now.
      if (found) left.push({ file, sizeBytes: found.size, ageMs: Date.now() - found.mtimeMs });
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
