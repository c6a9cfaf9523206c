import { HoldfastError } from '../errors.ts';

/** Callers that may wait for one container. A gateway repeats an undo, nobody else queues. */
const LONGEST_QUEUE = 16;

interface Turn {
  readonly migrationId: string;
  readonly stop: AbortController;
}

interface Queue {
  tail: Promise<unknown>;
  length: number;
  current: Turn | undefined;
}

/** One thing at a time is done to a container, in the order it was asked for. */
export class Turns {
  readonly #queues = new Map<string, Queue>();

  /**
   * Do `work` when it is its turn. Its signal fires after `timeoutMs` of work, or by `interrupt`.
   *
   * @throws HoldfastError `CONTAINER_BUSY`, `DEADLINE`, `INTERRUPTED`
   */
  async take<T>(
    migrationId: string,
    container: string,
    timeoutMs: number,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const queue = this.#queues.get(container) ?? {
      tail: Promise.resolve(),
      length: 0,
      current: undefined,
    };
    this.#queues.set(container, queue);
    if (queue.length >= LONGEST_QUEUE) throw busy(container);
    queue.length++;
    const mine = queue.tail.then(() => this.#run(queue, { migrationId, timeoutMs }, work));
    queue.tail = mine.catch(() => {});
    try {
      return await mine;
    } finally {
      queue.length--;
      if (queue.length === 0) this.#queues.delete(container);
    }
  }

  /** End what is under way for a migration, because its way back begins. */
  interrupt(container: string, migrationId: string): void {
    const current = this.#queues.get(container)?.current;
    if (current?.migrationId !== migrationId) return;
    current.stop.abort(
      new HoldfastError('INTERRUPTED', 'the migration was called off while this was under way'),
    );
  }

  async #run<T>(
    queue: Queue,
    what: { migrationId: string; timeoutMs: number },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const stop = new AbortController();
    const deadline = setTimeout(() => {
      stop.abort(
        new HoldfastError('DEADLINE', `it was not done within ${what.timeoutMs} ms`, { retryable: true }),
      );
    }, what.timeoutMs);
    queue.current = { migrationId: what.migrationId, stop };
    try {
      return await work(stop.signal);
    } catch (error) {
      // Why it was ended says more than how the work took it.
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      clearTimeout(deadline);
      queue.current = undefined;
    }
  }
}

export function busy(container: string, by?: string): HoldfastError {
  return new HoldfastError('CONTAINER_BUSY', `${container} is in the hands of ${by ?? 'another call'}`, {
    mend: 'wait until that migration has ended; gateway status shows it',
  });
}
