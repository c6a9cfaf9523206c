import type { ErrorBody } from './errors.ts';
import type { Plan, Prediction } from './planner/prediction.ts';

/** The steps of a migration, in the order they are made. */
export const Step = {
  preflight: 'preflight',
  plan: 'plan',
  prepare: 'prepare',
  /** Only of containers that own more than memory. */
  bring: 'bring',
  preCopy: 'pre-copy',
  /** Beside `pre-copy`: what has changed since it was brought. */
  bringAgain: 'bring-again',
  standBy: 'stand-by',
  hold: 'hold',
  freeze: 'freeze',
  dump: 'dump',
  send: 'send',
  restore: 'restore',
  /** Only when it was ordered. Memory that is fetched on demand is all fetched before: `page-in` then comes here. */
  verify: 'verify',
  healthCheck: 'health-check',
  commit: 'commit',
  release: 'release',
  /** Only where memory is fetched on demand: the app runs at the destination and still needs the source. */
  pageIn: 'page-in',
  cleanup: 'cleanup',
} as const;
export type Step = (typeof Step)[keyof typeof Step];

/** How memory gets to the destination. */
export const Strategy = {
  /** All of it while the app stands still. */
  stopAndCopy: 'stop-and-copy',
  /** Ahead, while the app runs; what has changed since follows while it stands still. */
  preCopy: 'pre-copy',
  /** None of it before the app runs there: pages are fetched from the frozen source as they are needed, and meanwhile. */
  postCopy: 'post-copy',
  /** Ahead, while the app runs; what has changed since is fetched from the frozen source once it runs there. */
  hybrid: 'hybrid',
} as const;
export type Strategy = (typeof Strategy)[keyof typeof Strategy];
/** Let the planner choose. */
export const AUTO = 'auto';
export type StrategyOrder = Strategy | typeof AUTO;
export const STRATEGY_ORDERS: readonly StrategyOrder[] = [AUTO, ...Object.values(Strategy)];

/** Whether memory is sent while the app runs at the source. */
export function sendsAhead(strategy: StrategyOrder): boolean {
  return strategy === Strategy.preCopy || strategy === Strategy.hybrid;
}

/** Whether memory is fetched while the app runs at the destination: until all of it is there, both hosts are needed. */
export function fetchesOnDemand(strategy: StrategyOrder): boolean {
  return strategy === Strategy.postCopy || strategy === Strategy.hybrid;
}

export const Outcome = {
  /** The app runs at the destination. */
  succeeded: 'succeeded',
  /** Refused by preflight: nothing was touched. */
  refused: 'refused',
  /** Something failed; the app runs on at the source as if nothing had been tried. */
  rolledBack: 'rolled-back',
  /**
   * The source was lost to the app before the last page was over. It went on at the source from its state at the freeze:
   * what it did at the destination since is lost.
   */
  setBack: 'set-back',
  /** What was frozen at the source is gone as well: the app runs nowhere, and is to be started anew. */
  lost: 'lost',
  /** The way back failed too, for a reason that does not pass by itself. Tried again when the gateway starts. */
  failed: 'failed',
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** What one migration cost. Names as in docs: see README, "Words for times". */
export interface Figures {
  readonly frozenMs?: number;
  readonly holdMs?: number;
  readonly totalMs: number;
  readonly bytesSent?: number;
  readonly imageBytes?: number;
  /** Of the container's image and files, on the link; of containers that own more than memory. */
  readonly layerBytes?: number;
  readonly fileBytes?: number;
  readonly heldRequests?: number;
  /** Of memory that was compared and found the same at both ends, when that was ordered. */
  readonly verifiedBytes?: number;
  /** From the first page asked for at the destination until all were over. */
  readonly pageInMs?: number;
  /** Of pages given from what was sent ahead, and of those fetched from the source. */
  readonly fromStoreBytes?: number;
  readonly fromSourceBytes?: number;
  /** How often the app waited for a page from the source. */
  readonly pageWaits?: number;
}

interface EventBase {
  readonly migrationId: string;
  readonly app: string;
  /** Wall clock, ISO 8601. */
  readonly at: string;
  /** Milliseconds since the order, by a monotonic clock. */
  readonly elapsedMs: number;
}

/** One feed: the journal, the API's stream, the log, the metrics and the CLI all listen to these. */
export type MigrationEvent =
  | (EventBase & {
      readonly type: 'started';
      readonly from: string;
      readonly to: string;
      readonly strategy: StrategyOrder;
      /** What may be sent, in bits a second, when that was limited. */
      readonly limitRateBps?: number;
    })
  /** What the move will cost by each strategy, and which one is taken. */
  | (EventBase & { readonly type: 'planned' } & Plan)
  | (EventBase & { readonly type: 'step-started'; readonly step: Step })
  | (EventBase & {
      readonly type: 'step-finished';
      readonly step: Step;
      readonly durationMs: number;
      /** What the step measured: bytes, requests, milliseconds. */
      readonly detail?: Readonly<Record<string, number>>;
    })
  | (EventBase & {
      readonly type: 'step-failed';
      readonly step: Step;
      readonly durationMs: number;
      readonly error: ErrorBody;
    })
  | (EventBase & { readonly type: 'undo-started' | 'undo-finished'; readonly step: Step })
  | (EventBase & {
      readonly type: 'pages-lost';
      readonly error: ErrorBody;
      /** What the app did at the destination from then on is lost. Wall clock, ISO 8601. */
      readonly since: string;
      /** Requests sent to it since, as far as this gateway has counted them. */
      readonly requests: number;
    })
  | (EventBase & {
      readonly type: 'ended';
      readonly outcome: Outcome;
      readonly figures: Figures;
      /** What the figures were to be. */
      readonly predicted?: Prediction;
      readonly error?: ErrorBody;
    });
