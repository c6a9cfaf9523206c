import { type GateLimits, SWEEP_INTERVAL_MS } from './limits.ts';
import { HoldQueue } from './queue.ts';
import { Refusal, Stage, type Visit } from './visit.ts';

/**
 * The requests that an app's gate holds back, in order of arrival and within their bounds: how many they are, what they pin
 * in memory, and how long each waits.
 */
export class HeldRequests {
  readonly #limits: GateLimits;
  readonly #onExpired: (visit: Visit) => void;
  readonly #queue = new HoldQueue();
  #sweep: NodeJS.Timeout | undefined = undefined;

  /** @param onExpired called for each that has waited for `maxHoldMs`, and which it must `remove` */
  constructor(limits: GateLimits, onExpired: (visit: Visit) => void) {
    this.#limits = limits;
    this.#onExpired = onExpired;
  }

  get first(): Visit | undefined {
    return this.#queue.first;
  }

  get size(): number {
    return this.#queue.size;
  }

  /** An upper bound of what all of them pin in memory. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Let it wait behind the others. @returns why it may not */
  admit(visit: Visit): Refusal | undefined {
    const { maxHeldRequests, maxHeldBytes } = this.#limits;
    visit.heldBytes = visit.pinnedBytes();
    if (this.#queue.size >= maxHeldRequests) return Refusal.tooManyHeld;
    if (this.#queue.bytes + visit.heldBytes > maxHeldBytes) return Refusal.tooManyBytesHeld;
    visit.stage = Stage.held;
    visit.heldSinceMs = performance.now();
    this.#queue.push(visit);
    this.#sweep ??= setInterval(() => this.#expire(), SWEEP_INTERVAL_MS).unref();
    return undefined;
  }

  /** The caller knows that `visit` is among them: its stage says so. */
  remove(visit: Visit): void {
    this.#queue.remove(visit);
    if (this.#queue.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** They are in order of `heldSinceMs`, so only the first need be looked at. */
  #expire(): void {
    const deadlineMs = performance.now() - this.#limits.maxHoldMs;
    for (let visit = this.first; visit && visit.heldSinceMs <= deadlineMs; visit = this.first) {
      this.#onExpired(visit);
    }
  }
}
