import type { ErrorBody } from './errors.ts';
import type { Figures, MigrationEvent, Outcome, Step, Strategy } from './events.ts';

/** What is known of one migration: its events, folded. */
export interface MigrationRecord {
  readonly id: string;
  readonly app: string;
  readonly from: string;
  readonly to: string;
  readonly strategy: Strategy;
  readonly state: 'running' | Outcome;
  /** The step under way, while running. */
  readonly step?: Step;
  readonly startedAt: string;
  readonly steps: readonly { readonly step: Step; readonly durationMs: number }[];
  readonly figures?: Figures;
  readonly error?: ErrorBody;
}

/** @returns undefined when the first event is not there: then nothing was done either. */
export function recordOf(events: readonly MigrationEvent[]): MigrationRecord | undefined {
  const started = events.find((event) => event.type === 'started');
  if (started === undefined) return undefined;
  const ended = events.findLast((event) => event.type === 'ended');
  const latest = events.findLast((event) => event.type === 'step-started');
  return {
    id: started.migrationId,
    app: started.app,
    from: started.from,
    to: started.to,
    strategy: started.strategy,
    state: ended?.outcome ?? 'running',
    ...(ended === undefined && latest !== undefined ? { step: latest.step } : {}),
    startedAt: started.at,
    steps: events
      .filter((event) => event.type === 'step-finished')
      .map(({ step, durationMs }) => ({ step, durationMs })),
    ...(ended === undefined ? {} : { figures: ended.figures }),
    ...(ended?.error === undefined ? {} : { error: ended.error }),
  };
}
