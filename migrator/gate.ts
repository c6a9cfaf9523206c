/** Where an app is reached: the host it runs on and the origin the gate forwards to. */
export interface Target {
  readonly host: string;
  /** An origin without a path: `http://10.0.0.2:8080`. */
  readonly url: string;
}

export interface HoldReport {
  /** Requests that were in flight when the gate closed, all of them answered since. */
  readonly drainedRequests: number;
  readonly drainMs: number;
  /** Requests sent to the app since the gate was last released. */
  readonly passedRequests: number;
}

export interface ReleaseReport {
  /** From the gate closing to the first held request being sent on, or to the release when none was held. */
  readonly holdMs: number;
  /** Requests in the queue when the release began. */
  readonly heldRequests: number;
}

/**
 * What a migration asks of whatever stands in front of an app.
 *
 * Between `hold` and `release` no new request reaches the app. Exactly one target is served at any time.
 */
export interface Gate {
  /**
   * Close the gate, wait until every request in flight is answered and every connection to the app is closed.
   *
   * @throws HoldfastError `DRAIN_TIMEOUT` when the budget runs out, or the reason of `signal`. Whatever it throws, the
   * gate is then open again, to the target it had, and nothing that was in flight or held has been failed.
   */
  hold(app: string, options: { drainTimeoutMs: number; signal: AbortSignal }): Promise<HoldReport>;
  /** Open the gate to `target`, first in, first out. Settles when the first held request was sent on. */
  release(app: string, target: Target): Promise<ReleaseReport>;
}
