import { anySignal } from '../migrator/any-signal.ts';
import type { Budget } from './budget.ts';

export interface Rounds<Task> {
  readonly tasks: readonly Task[];
  readonly rounds: number;
  /** Absent: as long as it takes. */
  readonly budget?: Budget;
  readonly signal: AbortSignal;
  /** How long a task may take that has not been carried out yet. */
  guessMs(task: Task): number;
  run(task: Task, round: number, signal: AbortSignal): Promise<void>;
  /** It could not be carried out; the others are, all the same. */
  failed(task: Task, round: number, error: unknown): Promise<void> | void;
}

/** As much longer as a task may take than it took before. */
const SLACK = 1.15;

/**
 * Carry out every task once a round, in turn, so that what else the machine does meets all of them alike. What the
 * budget has no room for is left out, while shorter ones may still fit in.
 *
 * @returns how many were left out
 */
export async function inRounds<Task>(plan: Rounds<Task>): Promise<number> {
  const { tasks, budget } = plan;
  const signal = budget === undefined ? plan.signal : anySignal([plan.signal, budget.signal]);
  const tookMs = new Map<Task, number>();
  let leftOut = 0;
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const task of tasks) {
      plan.signal.throwIfAborted();
      const expectedMs = (tookMs.get(task) ?? plan.guessMs(task)) * SLACK;
      if (budget !== undefined && !budget.fits(expectedMs)) {
        leftOut += 1;
        continue;
      }
      const startedMs = performance.now();
      try {
        await plan.run(task, round, signal);
        tookMs.set(task, performance.now() - startedMs);
      } catch (error) {
        plan.signal.throwIfAborted();
        if (budget?.signal.aborted) leftOut += 1;
        else await plan.failed(task, round, error);
      }
    }
  }
  return leftOut;
}
