import { anySignal } from './any-signal.ts';
import type { MigrationContext } from './context.ts';
import { FOR_AS_LONG_AS_IT_TAKES } from './deadlines.ts';
import { toErrorBody } from './errors.ts';
import type { Step } from './events.ts';

/** Makes the steps of one migration: each is journaled before it is made, and told of when it has ended. */
export class Steps {
  /** Those that may have been made: what is begun and not known to have done nothing. */
  readonly begun: Set<Step>;
  readonly #context: Pick<MigrationContext, 'emit' | 'signal'>;

  constructor(context: Pick<MigrationContext, 'emit' | 'signal'>, begun: readonly Step[]) {
    this.#context = context;
    this.begun = new Set(begun);
  }

  /** @param detailOf what the step measured, for its event */
  async make<T>(
    step: Step,
    timeoutMs: number,
    make: (signal: AbortSignal) => Promise<T>,
    detailOf?: (result: T) => Readonly<Record<string, number>>,
  ): Promise<T> {
    const { emit, signal } = this.#context;
    await emit({ type: 'step-started', step });
    this.begun.add(step);
    const began = performance.now();
    try {
      const withDeadline = timeoutMs === FOR_AS_LONG_AS_IT_TAKES ? signal : within(signal, timeoutMs);
      const result = await make(withDeadline);
      const durationMs = performance.now() - began;
      const detail = detailOf ? { detail: detailOf(result) } : {};
      await emit({ type: 'step-finished', step, durationMs, ...detail });
      return result;
    } catch (error) {
      const durationMs = performance.now() - began;
      await emit({ type: 'step-failed', step, durationMs, error: toErrorBody(error) });
      throw error;
    }
  }
}

export function within(signal: AbortSignal, timeoutMs: number): AbortSignal {
  return anySignal([signal, AbortSignal.timeout(timeoutMs)]);
}
