const FIRST_PAGES = 256;
const FEWEST_PAGES = 64;
/** What an answer may take longer than the quickest one did, for the questions before it: a fault waits behind them. */
const SHORT_QUEUE_MS = 12;
const LONG_QUEUE_MS = 25;

/**
 * How many pages may be asked for ahead, so that the link is busy and yet a page somebody waits for is soon over: it
 * grows while answers come about as quickly as the quickest did, and shrinks when they queue. Delay tells of a full link
 * long before loss does (Brakmo and Peterson, TCP Vegas, 1995).
 */
export class FlowWindow {
  readonly #mostPages: number;
  #pages = FIRST_PAGES;
  #quickestMs = Number.POSITIVE_INFINITY;

  constructor(mostPages: number) {
    this.#mostPages = mostPages;
  }

  get pages(): number {
    return Math.floor(this.#pages);
  }

  /** A question ahead was answered. A window full of answers doubles it, or halves it. */
  answered(pages: number, tookMs: number): void {
    this.#quickestMs = Math.min(this.#quickestMs, tookMs);
    const queueMs = tookMs - this.#quickestMs;
    if (queueMs < SHORT_QUEUE_MS) this.#pages = Math.min(this.#pages + pages, this.#mostPages);
    else if (queueMs > LONG_QUEUE_MS) this.#pages = Math.max(this.#pages - pages / 2, FEWEST_PAGES);
  }
}
