import { servePages } from '../criu/page-server.ts';
import type { HoldfastError } from '../errors.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Link } from '../transfer/link.ts';
import { Daemon } from './daemon.ts';
import { pagerFailed, pagesLost } from './errors.ts';
import { fence } from './fence.ts';
import type { LazyMemory } from './lazy-memory.ts';
import { LinkUse } from './link-use.ts';
import { MemoryLink } from './memory-link.ts';
import { PageStore } from './page-store.ts';
import { LazyPages } from './page-supply.ts';
import type { PagerFigures } from './protocol.ts';

/** A restore begins right after it is told that the daemon listens. */
const RESTORE_WITHIN_MS = 180_000;
/** The daemon asks for one range after the other, or ends: one that does neither is stuck. */
const ASKS_WITHIN_MS = 120_000;
const LOOK_MS = 100;

export interface PagingOptions {
  readonly imagesDir: string;
  readonly workDir: string;
  readonly cgroupDir: string;
  /** Of the source's call for memory. */
  readonly path: string;
  readonly urgent: Link;
  readonly ahead: Link;
  readonly comparing: Link;
  readonly stallMs: number;
  /** The restored processes ask for the first page. */
  readonly onServing: () => void;
}

/** The pages of one restored container, from the daemon's start to its end. */
export class Paging {
  readonly #options: PagingOptions;
  readonly #store: PageStore;
  readonly #memory: LazyMemory;
  readonly #supply: LazyPages;
  readonly #urgent: MemoryLink;
  readonly #ahead: MemoryLink;
  readonly #comparing: MemoryLink;
  readonly #stop = new AbortController();
  readonly #beganAt = performance.now();
  #daemon: Daemon | undefined;
  #servingSince: number | undefined;
  #servingUntil: number | undefined;
  #lastRequestAt = performance.now();

  private constructor(options: PagingOptions, memory: LazyMemory, store: PageStore) {
    this.#options = options;
    this.#memory = memory;
    this.#store = store;
    const link = (to: Link, use: LinkUse) =>
      new MemoryLink({
        link: to,
        path: use === LinkUse.urgent ? `${options.path}?urgent=true` : options.path,
        onAnswer: (question, answer, raw) => this.#supply.take(question, answer, raw, use),
        onRefused: (error) => this.#fail(pagesLost(error.message, error)),
      });
    this.#urgent = link(options.urgent, LinkUse.urgent);
    this.#ahead = link(options.ahead, LinkUse.ahead);
    this.#comparing = link(options.comparing, LinkUse.comparing);
    const links = { urgent: this.#urgent, ahead: this.#ahead, comparing: this.#comparing };
    this.#supply = new LazyPages({ memory, store, ...links });
  }

  /** Settles when the daemon listens. @throws HoldfastError `IMAGES_DAMAGED`, `PAGER_FAILED` */
  static async begin(memory: LazyMemory, options: PagingOptions): Promise<Paging> {
    // Both take as long as the other, and an app stands still: neither waits for the other.
    const [opened, started] = await Promise.allSettled([
      Paging.#open(memory, options),
      Daemon.start({ ...options, asks: true }),
    ]);
    if (opened.status === 'fulfilled' && started.status === 'fulfilled') {
      opened.value.#daemon = started.value;
      return opened.value;
    }
    if (opened.status === 'fulfilled') await opened.value.#close();
    if (started.status === 'fulfilled') await started.value.kill();
    throw [opened, started].find((outcome) => outcome.status === 'rejected')?.reason;
  }

  /** Pages are asked for from now on: the restore takes its time, and they come meanwhile. */
  static async #open(memory: LazyMemory, options: PagingOptions): Promise<Paging> {
    const paging = new Paging(options, memory, await PageStore.open(options.imagesDir));
    for (const link of paging.#links) link.begin();
    paging.#supply.begin();
    return paging;
  }

  get figures(): PagerFigures {
    const { urgent, ahead, comparing } = this.#options;
    const sum = (of: (link: Link) => number) => of(urgent) + of(ahead) + of(comparing);
    const until = this.#servingUntil ?? performance.now();
    return {
      lazyBytes: this.#memory.pages * PAGE_BYTES,
      ...this.#supply.figures,
      reconnects: this.#links.reduce((total, { reconnects }) => total + reconnects, 0),
      bytesReceived: sum(({ bytesReceived }) => bytesReceived),
      bytesSent: sum(({ bytesSent }) => bytesSent),
      servingMs: this.#servingSince === undefined ? 0 : until - this.#servingSince,
    };
  }

  /**
   * Serve until the daemon is done. When this throws, every process of the container has been killed.
   *
   * @throws HoldfastError `PAGES_LOST`, `PAGER_FAILED`, and the reason of `signal`
   */
  async run(signal: AbortSignal): Promise<void> {
    const daemon = this.#daemon;
    if (!daemon?.socket) throw pagerFailed('it was not begun');
    const look = setInterval(() => this.#look(), LOOK_MS);
    try {
      const { socket } = daemon;
      const served = servePages(socket, {
        expect: (request) => {
          this.#lastRequestAt = performance.now();
          if (this.#servingSince === undefined) {
            this.#servingSince = this.#lastRequestAt;
            this.#options.onServing();
          }
          this.#supply.expect(request);
        },
        pages: (request) => this.#supply.pages(request),
      });
      served.catch((error: HoldfastError) => this.#fail(error));
      const code = await Promise.race([daemon.ended, firing(signal), firing(this.#stop.signal)]);
      if (code !== 0) throw this.#endOf(`criu lazy-pages ended with ${code}: ${await daemon.lastWords()}`);
    } catch (error) {
      // First those who could meet a missing page, then the daemon: without it the kernel would give them zeros.
      await fence(this.#options.cgroupDir);
      await daemon.kill();
      throw error;
    } finally {
      clearInterval(look);
      this.#servingUntil = performance.now();
      daemon.socket?.destroy();
      await this.#close();
    }
  }

  /** Give up: `run` ends with this. */
  #fail(error: HoldfastError): void {
    this.#stop.abort(error);
  }

  #look(): void {
    const { stallMs } = this.#options;
    const now = performance.now();
    const silentMs = Math.max(...this.#links.map((link) => link.silentMs));
    if (silentMs > stallMs) {
      const brokeBy = this.#links.map((link) => link.brokeBy).find((error) => error !== undefined);
      const why = brokeBy ? `: ${brokeBy.message}` : '';
      this.#fail(pagesLost(`the source has not answered for ${stallMs} ms${why}`, brokeBy));
    }
    const isServing = this.#servingSince !== undefined;
    if (!isServing && now - this.#beganAt > RESTORE_WITHIN_MS) this.#fail(pagerFailed('no restore came'));
    if (isServing && silentMs === 0 && now - this.#lastRequestAt > ASKS_WITHIN_MS) {
      this.#fail(pagesLost('criu lazy-pages neither asks for more nor ends'));
    }
  }

  #endOf(why: string): HoldfastError {
    return this.#servingSince === undefined ? pagerFailed(why) : pagesLost(why);
  }

  async #close(): Promise<void> {
    this.#supply.end();
    await Promise.all(this.#links.map((link) => link.close()));
    this.#store.close();
  }

  get #links(): readonly MemoryLink[] {
    return [this.#urgent, this.#ahead, this.#comparing];
  }
}

/** Rejects with the reason of a signal when it fires. */
function firing(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
