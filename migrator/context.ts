import type { Agent } from './agents.ts';
import type { MigrationEvent, StrategyOrder } from './events.ts';
import type { Gate } from './gate.ts';
import type { Placements } from './placements.ts';
import type { Planner } from './planner/planner.ts';

export interface Order {
  readonly id: string;
  readonly app: string;
  readonly container: string;
  readonly from: string;
  readonly to: string;
  /** The planner's choice takes the place of `auto` before anything is touched. */
  readonly strategy: StrategyOrder;
  /** Refuse the move when the app would be frozen for longer. */
  readonly maxFreezeMs?: number | undefined;
  /** Compare the memory of both ends before the app runs on at the destination. */
  readonly verify?: boolean | undefined;
  /** Send no more than so many bits a second. */
  readonly limitRateBps?: number | undefined;
}

export interface HoldLimits {
  readonly drainTimeoutMs: number;
  readonly maxHoldMs: number;
}

/** An event without what is the same in all of one migration's. */
export type EventBody = MigrationEvent extends infer E
  ? E extends MigrationEvent
    ? Omit<E, 'migrationId' | 'app' | 'at' | 'elapsedMs'>
    : never
  : never;

/** What one migration works with. */
export interface MigrationContext {
  readonly order: Order;
  readonly source: Agent;
  readonly destination: Agent;
  readonly gate: Gate;
  readonly placements: Placements;
  readonly planner: Planner;
  readonly limits: HoldLimits;
  /** Journal the event, then tell it. @throws when a step could not be journaled: then it must not be made */
  readonly emit: (body: EventBody) => Promise<void>;
  /** Fires when the gateway itself must end: whatever is unfinished is left to the journal. */
  readonly signal: AbortSignal;
}
