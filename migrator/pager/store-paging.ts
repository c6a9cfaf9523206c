import { anySignal } from '../any-signal.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { within } from '../within.ts';
import { Daemon } from './daemon.ts';
import { pagerFailed } from './errors.ts';
import { fence } from './fence.ts';
import type { LazyMemory } from './lazy-memory.ts';
import { NO_FIGURES, type PagerFigures } from './protocol.ts';
import { makeStoreImages } from './store-images.ts';

/** From the daemon's start on. Its pages lie in memory; a restore begins at once, or never. */
const OVER_WITHIN_MS = 180_000;

/** The pages of one restored container of which none is at the source any more: CRIU's daemon reads them by itself. */
export class StorePaging {
  readonly #memory: LazyMemory;
  readonly #daemon: Daemon;
  readonly #cgroupDir: string;
  readonly #beganAt = performance.now();
  #endedAt: number | undefined;

  private constructor(memory: LazyMemory, daemon: Daemon, cgroupDir: string) {
    this.#memory = memory;
    this.#daemon = daemon;
    this.#cgroupDir = cgroupDir;
  }

  /** Settles when the daemon listens. @throws HoldfastError `IMAGES_DAMAGED`, `PAGER_FAILED` */
  static async begin(
    memory: LazyMemory,
    options: { imagesDir: string; workDir: string; cgroupDir: string },
  ): Promise<StorePaging> {
    const imagesDir = await makeStoreImages(options.imagesDir);
    return new StorePaging(memory, await Daemon.start({ ...options, imagesDir }), options.cgroupDir);
  }

  get figures(): PagerFigures {
    const sizeBytes = this.#memory.pagesInStore * PAGE_BYTES;
    const isOver = this.#endedAt !== undefined;
    return {
      ...NO_FIGURES,
      lazyBytes: sizeBytes,
      remainingBytes: isOver ? 0 : sizeBytes,
      fromStoreBytes: isOver ? sizeBytes : 0,
      servingMs: (this.#endedAt ?? performance.now()) - this.#beganAt,
    };
  }

  /**
   * Settles when all pages are over. When this throws, every process of the container has been killed.
   *
   * @throws HoldfastError `PAGER_FAILED`, and the reason of `signal`
   */
  async run(signal: AbortSignal): Promise<void> {
    const daemon = this.#daemon;
    const late = new AbortController();
    const deadline = setTimeout(() => late.abort(pagerFailed('its pages are not over')), OVER_WITHIN_MS);
    try {
      const code = await within(daemon.ended, anySignal([signal, late.signal]));
      if (code !== 0) throw pagerFailed(`criu lazy-pages ended with ${code}: ${await daemon.lastWords()}`);
      this.#endedAt = performance.now();
    } catch (error) {
      // First those who could meet a missing page, then the daemon: without it the kernel would give them zeros.
      await fence(this.#cgroupDir);
      await daemon.kill();
      throw error;
    } finally {
      clearTimeout(deadline);
    }
  }
}
