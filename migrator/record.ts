import type { ErrorBody } from './errors.ts';
import type { Figures, MigrationEvent, Outcome, Step, StrategyOrder } from './events.ts';
import { predictionOf } from './planner/planner.ts';
import type { Prediction } from './planner/prediction.ts';

/** What is known of one migration: its events, folded. */
export interface MigrationRecord {
  readonly id: string;
  readonly app: string;
  readonly from: string;
  readonly to: string;
  /** As ordered, and once there is a plan as planned. */
  readonly strategy: StrategyOrder;
  /** What may be sent, in bits a second, when that was limited. */
  readonly limitRateBps?: number;
  /** Why it was taken. */
  readonly reason?: string;
  readonly state: 'running' | Outcome;
  /** The step under way, while running. */
  readonly step?: Step;
  readonly startedAt: string;
  readonly steps: readonly { readonly step: Step; readonly durationMs: number }[];
  /** What the figures are to be. */
  readonly predicted?: Prediction;
  readonly figures?: Figures;
  readonly error?: ErrorBody;
}

/** @returns undefined when the first event is not there: then nothing was done either. */
export function recordOf(events: readonly MigrationEvent[]): MigrationRecord | undefined {
  const started = events.find((event) => event.type === 'started');
  if (started === undefined) return undefined;
  const ended = events.findLast((event) => event.type === 'ended');
  const planned = events.findLast((event) => event.type === 'planned');
  const predicted = planned && predictionOf(planned);
  const latest = events.findLast((event) => event.type === 'step-started');
  return {
    id: started.migrationId,
    app: started.app,
    from: started.from,
    to: started.to,
    strategy: planned?.strategy ?? started.strategy,
    ...(started.limitRateBps === undefined ? {} : { limitRateBps: started.limitRateBps }),
    ...(planned === undefined ? {} : { reason: planned.reason }),
    state: ended?.outcome ?? 'running',
    ...(ended === undefined && latest !== undefined ? { step: latest.step } : {}),
    startedAt: started.at,
    steps: events
      .filter((event) => event.type === 'step-finished')
      .map(({ step, durationMs }) => ({ step, durationMs })),
    ...(predicted === undefined ? {} : { predicted }),
    ...(ended === undefined ? {} : { figures: ended.figures }),
    ...(ended?.error === undefined ? {} : { error: ended.error }),
  };
}
