import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../migrator/errors.ts';
import { showWorkers } from './processes.ts';
import { OneShotRuntime, type Runtime, type RuntimeOptions, RuntimeSession } from './runtime.ts';

/** A process of HAProxy that has requests in hand. */
export interface Worker {
  readonly runtime: Runtime;
  /** It takes new connections; otherwise it only ends what it has. */
  readonly isCurrent: boolean;
  /** Of one that only ends what it has. */
  readonly pid?: number;
}

/** For a master to notice that a worker ended. */
const LEAVING_MS = 1_000;
const LOOK_AGAIN_MS = 5;

/** The workers of one HAProxy. After a reload there is more than one for a while; only a master tells of them. */
export class Workers {
  readonly #options: Omit<RuntimeOptions, 'workerPid'>;
  /** Its connection is kept: a master ends it when it is reloaded or ends. */
  readonly #master: RuntimeSession;
  #isMaster: boolean | undefined;

  constructor({ address, timeoutMs }: Omit<RuntimeOptions, 'workerPid'>) {
    this.#options = { address, timeoutMs };
    this.#master = new RuntimeSession(this.#options);
  }

  /** They are those of the last `each`, by all that is known. Without a master it never is. */
  get areTheSame(): boolean {
    return this.#master.isOpen;
  }

  /** @throws HoldfastError what `act` and `Runtime.ask` throw, but not of one that has left meanwhile */
  async each(signal: AbortSignal, act: (worker: Worker) => Promise<void>): Promise<void> {
    for (const worker of await this.#all(signal)) {
      try {
        await act(worker);
      } catch (error) {
        // One that was leaving and has left has nothing in flight, and sends nobody anywhere.
        if (worker.isCurrent || !(await this.#hasLeft(worker, error, signal))) throw error;
      }
    }
  }

  close(): void {
    this.#master.close();
  }

  /** It may have gone before it was asked, or in the middle of its answer; the master tells of it a moment longer. */
  async #hasLeft({ pid }: Worker, error: unknown, signal: AbortSignal): Promise<boolean> {
    const code = error instanceof HoldfastError ? error.code : undefined;
    if (code !== 'HAPROXY_CONNECTION_LOST') return code === 'HAPROXY_WORKER_GONE';
    for (const until = performance.now() + LEAVING_MS; performance.now() < until; ) {
      if (!(await this.#all(signal)).some((worker) => worker.pid === pid)) return true;
      await sleep(LOOK_AGAIN_MS, undefined, { signal });
    }
    return false;
  }

  async #all(signal: AbortSignal): Promise<Worker[]> {
    const current: Worker = { runtime: new OneShotRuntime(this.#options), isCurrent: true };
    if (this.#isMaster === false) return [current];
    try {
      const [workers] = await this.#master.ask([showWorkers()], signal);
      this.#isMaster = true;
      const leaving = workers
        .filter(({ reloads }) => reloads > 0)
        .map(({ pid }) => ({
          runtime: new OneShotRuntime({ ...this.#options, workerPid: pid }),
          isCurrent: false,
          pid,
        }));
      return [current, ...leaving];
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'HAPROXY_NO_MASTER') throw error;
      this.#isMaster = false;
      this.#master.close();
      return [current];
    }
  }
}
