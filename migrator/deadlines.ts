import { setTimeout as sleep } from 'node:timers/promises';
import { anySignal } from './any-signal.ts';
import { HoldfastError } from './errors.ts';

/** How long each call to an agent may take, in milliseconds. From the hold on, the hold's own budget comes first. */
export const Deadlines = {
  preflightMs: 15_000,
  planMs: 20_000,
  prepareMs: 30_000,
  preCopyMs: 600_000,
  bringMs: 3_600_000,
  standByMs: 60_000,
  freezeMs: 5_000,
  dumpMs: 60_000,
  sendMs: 120_000,
  restoreMs: 60_000,
  /** Of a move on demand that is verified: all of the memory that `send` would have carried. */
  pageInFrozenMs: 120_000,
  verifyMs: 60_000,
  healthCheckMs: 10_000,
  commitMs: 2_000,
  /** For one call; it is made again until all pages are over. */
  pageInMs: 60_000,
  undoMs: 5_000,
  cleanupMs: 5_000,
} as const;

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** For what must be carried through however long a host is away: only the end of the gateway ends it. */
export const FOR_AS_LONG_AS_IT_TAKES = Number.POSITIVE_INFINITY;

/**
 * Try again, at growing intervals, for as long as the failure is one that may pass by itself.
 *
 * @throws the last error when it cannot pass, when `withinMs` has gone by, or when `signal` fires
 */
export async function insist<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  options: { attemptMs: number; withinMs: number; signal: AbortSignal },
): Promise<T> {
  const until = performance.now() + options.withinMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt(anySignal([options.signal, AbortSignal.timeout(options.attemptMs)]));
    } catch (error) {
      const mayPass = !(error instanceof HoldfastError) || error.retryable;
      if (!mayPass || options.signal.aborted || performance.now() + pauseMs > until) throw error;
    }
    await sleep(pauseMs, undefined, { signal: options.signal });
  }
}
