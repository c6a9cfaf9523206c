/** What is assumed of a link until it has shown its rate: 1 Gbit/s. */
const ASSUMED_RATE_BPMS = 125_000;
const NEWEST_WEIGHT = 0.3;
/** Rates over less than this say more of the timer than of the link. */
const MIN_SPAN_MS = 1;

/**
 * What was handed to a link, what the other end has acknowledged, and the rate of a busy link. Only spans at
 * whose start something was under way count: an idle link tells nothing of what it could carry.
 */
export class LinkMeter {
  #handedBytes = 0;
  #ackedBytes = 0;
  #rateBpms = ASSUMED_RATE_BPMS;
  #measured = false;
  #span: { startedAt: number; ackedBytes: number } | undefined;
  #lastProgressAt: number;
  readonly #now: () => number;
  readonly #limitBpms: number;

  /** @param options.limitBpms what the link is given at most: what is handed over in turns never shows its rate */
  constructor(options: { now?: () => number; limitBpms?: number } = {}) {
    const { now = () => performance.now(), limitBpms = Number.POSITIVE_INFINITY } = options;
    this.#now = now;
    this.#limitBpms = limitBpms;
    this.#lastProgressAt = now();
  }

  get backlogBytes(): number {
    return this.#handedBytes - this.#ackedBytes;
  }

  /** Bytes a millisecond. */
  get rateBpms(): number {
    return Math.min(this.#rateBpms, this.#limitBpms);
  }

  /** When the other end last acknowledged something, or was first given something to acknowledge. */
  get lastProgressAt(): number {
    return this.#lastProgressAt;
  }

  handed(sizeBytes: number): void {
    if (this.backlogBytes === 0) this.#lastProgressAt = this.#now();
    this.#handedBytes += sizeBytes;
  }

  /** `totalBytes`: everything acknowledged so far. */
  acked(totalBytes: number): void {
    if (totalBytes <= this.#ackedBytes) return;
    const now = this.#now();
    this.#ackedBytes = Math.min(totalBytes, this.#handedBytes);
    this.#lastProgressAt = now;
    // The first acknowledgement starts the clock: what came before it holds a round trip.
    if (this.#span && now - this.#span.startedAt >= MIN_SPAN_MS) {
      const rate = (this.#ackedBytes - this.#span.ackedBytes) / (now - this.#span.startedAt);
      this.#rateBpms = this.#measured ? this.#rateBpms * (1 - NEWEST_WEIGHT) + rate * NEWEST_WEIGHT : rate;
      this.#measured = true;
      this.#span = undefined;
    }
    if (this.backlogBytes === 0) this.#span = undefined;
    else this.#span ??= { startedAt: now, ackedBytes: this.#ackedBytes };
  }
}
