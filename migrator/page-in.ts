import type { PageInReply } from './agent/protocol.ts';
import { anySignal } from './any-signal.ts';
import type { MigrationContext } from './context.ts';
import { Deadlines, FOR_AS_LONG_AS_IT_TAKES, insist } from './deadlines.ts';
import { Step } from './events.ts';
import type { Steps } from './steps.ts';

/**
 * Wait until every page is at the destination. Until then the app lives of both hosts, and only the destination can say
 * how it stands with its instance: silence is waited out.
 *
 * @throws HoldfastError `PAGES_LOST` when its agent has said that the instance is gone; the reason of the signal
 */
export function pageIn(context: MigrationContext, steps: Steps): Promise<PageInReply> {
  const { order, destination, signal } = context;
  return steps.make(
    Step.pageIn,
    FOR_AS_LONG_AS_IT_TAKES,
    () =>
      insist((within) => destination.pageIn(order.id, within), {
        attemptMs: Deadlines.pageInMs,
        withinMs: FOR_AS_LONG_AS_IT_TAKES,
        signal,
      }),
    (reply) => ({ ...reply }),
  );
}

/**
 * The same for an instance that stands still and is not committed: nothing waits for a page, and to go back is still easy.
 *
 * @param budget of the hold: what is not over by then is given up
 * @throws HoldfastError what the destination answers, or `DEADLINE`
 */
export function pageInFrozen(
  context: MigrationContext,
  steps: Steps,
  budget: AbortSignal,
): Promise<PageInReply> {
  const { order, destination } = context;
  return steps.make(
    Step.pageIn,
    Deadlines.pageInFrozenMs,
    (signal) => destination.pageIn(order.id, anySignal([signal, budget])),
    (reply) => ({ ...reply }),
  );
}
