/** Kept back from the hold, so that the way back is made while the held requests still wait. */
const ROLLBACK_RESERVE = 0.25;
/** What an agent accepts. */
const SHORTEST_LEASE_MS = 1_000;

/** How long a hold may last before the way back begins. */
export function holdBudgetMs({ maxHoldMs }: { maxHoldMs: number }): number {
  return Math.round(maxHoldMs * (1 - ROLLBACK_RESERVE));
}

/**
 * How long an instance at the destination may live uncommitted: no longer than the hold's budget, so that a
 * destination that falls silent is out of the way while users still wait.
 */
export function leaseMs(limits: { maxHoldMs: number }): number {
  return Math.max(SHORTEST_LEASE_MS, holdBudgetMs(limits));
}
