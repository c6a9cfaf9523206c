/** How much an app's gate may hold back, and how gently it lets go. Every field is a bound, none is optional. */
export interface GateLimits {
  /** Requests waiting at once; the next is answered 503 at once. */
  readonly maxHeldRequests: number;
  /** Sum of the upper bounds of what the waiting requests may pin in memory, see `pinnedBytes` in visit.ts. */
  readonly maxHeldBytes: number;
  /** A request that has waited this long is answered 503. Looked at every `SWEEP_INTERVAL_MS`. */
  readonly maxHoldMs: number;
  /** Requests let through from the queue that may be at the app at once, until the queue is empty. */
  readonly releaseConcurrency: number;
  /** What whoever calls `hold` should give the requests in flight to finish. */
  readonly drainTimeoutMs: number;
}

/** One coarse timer for each gate that holds anything, instead of one for each request. */
export const SWEEP_INTERVAL_MS = 100;
