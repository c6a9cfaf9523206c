import { randomUUID } from 'node:crypto';
import type { Pool } from 'undici';
import { type AppState, readState } from './app-state.ts';
import { check, type Verdict } from './check.ts';
import { bodyOf, type Exchange, exchange, nowMs, openConnections } from './exchange.ts';
import { type Figures, figuresOf } from './figures.ts';
import { pace } from './pace.ts';

export interface LoadOptions {
  /** The origin to call: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Origins of further fronts of the same app: the clients are shared out among all of them. */
  readonly others?: readonly string[];
  /** The Host header, when the front tells apps apart by it. */
  readonly host?: string;
  readonly ratePerS: number;
  /** Each is one user, with up to six connections kept alive, as a browser has. */
  readonly clients: number;
  /** Of every request: see exchange.ts. */
  readonly timeoutMs?: number;
  /** Share of POSTs, 0 to 1. */
  readonly postShare?: number;
}

export interface LoadResult {
  readonly exchanges: readonly Exchange[];
  readonly state: AppState;
  readonly verdict: Verdict;
}

const MOST_EXCHANGES = 4_000_000;

/** Users who come at a fixed rate, and a record of all that was said. */
export class Load {
  readonly #options: Required<Omit<LoadOptions, 'host'>> & Pick<LoadOptions, 'host'>;
  readonly #pools: Pool[];
  readonly #exchanges: Exchange[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #run = randomUUID().slice(0, 8);
  readonly #pacing: Promise<void>;

  /** Starts at once. */
  constructor(options: LoadOptions) {
    this.#options = { timeoutMs: 30_000, postShare: 0.3, others: [], ...options };
    const { timeoutMs, others } = this.#options;
    const urls = [options.url, ...others];
    this.#pools = Array.from({ length: options.clients }, (_, client) =>
      openConnections({ url: urls[client % urls.length] ?? options.url, timeoutMs }),
    );
    this.#pacing = pace(options.ratePerS, (n, atMs) => this.#visit(n, atMs), this.#stopping.signal);
  }

  get exchanges(): readonly Exchange[] {
    return this.#exchanges;
  }

  /** What the load saw between two times of `nowMs()`. */
  figures(fromMs: number, toMs: number): Figures {
    return figuresOf(this.#exchanges, fromMs, toMs);
  }

  /** Settles with the first good answer to a request made from now on. @throws when there is none in time. */
  async flowing(signal: AbortSignal): Promise<void> {
    const fromMs = nowMs();
    for (;;) {
      signal.throwIfAborted();
      const fresh = this.#exchanges.findLast((one) => one.outcome === 'answered');
      if (fresh !== undefined && fresh.intendedAtMs >= fromMs) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Stop, wait for every answer that is still to come, and hold what was said against the app's own state. */
  async finish(): Promise<LoadResult> {
    await this.#drain();
    const state = await readState(this.#options.url, this.#options.host);
    return { exchanges: this.#exchanges, state, verdict: check(this.#exchanges, state) };
  }

  /** Stop, and wait for nothing but the requests' own deadlines. May be called twice. */
  async stop(): Promise<void> {
    await this.#drain();
  }

  async #drain(): Promise<void> {
    this.#stopping.abort();
    await this.#pacing;
    await Promise.all(this.#pending);
    await Promise.all(this.#pools.map((pool) => pool.destroy()));
  }

  #visit(n: number, intendedAtMs: number): void {
    if (n >= MOST_EXCHANGES) return;
    const { host, postShare } = this.#options;
    const client = n % this.#pools.length;
    const pool = this.#pools[client] as Pool;
    // Spread the POSTs over all users, evenly and the same in each run.
    const posts = Math.floor((n + 1) * postShare) > Math.floor(n * postShare);
    const visit = {
      id: `${this.#run}-${n}`,
      user: `u${client}`,
      intendedAtMs,
      ...(posts ? { body: bodyOf(n) } : {}),
    };
    const settled = exchange(visit, { pool, host }).then((one) => {
      this.#exchanges.push(one);
      this.#pending.delete(settled);
    });
    this.#pending.add(settled);
  }
}
