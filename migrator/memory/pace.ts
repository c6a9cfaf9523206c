import { availableParallelism } from 'node:os';
import type { Pressure } from './pressure.ts';

/** Memory does not come faster to more than these. */
const MOST_THREADS = 8;
/** A thread with its heap and its slots takes less; what is left is the host's. */
const MEMORY_PER_THREAD_BYTES = 128 * 1024 * 1024;
const SAMPLE_MS = 200;
/** Shares of time that some task waited: above the upper the app may be among those, below the lower there is room. */
const CPU = { crowded: 0.3, idle: 0.1 } as const;
const MEMORY_CROWDED = 0.1;
/** One thread that never rests: the longer a round takes, the more is left for the freeze. Its priority is low. */
const LEAST = 1;

/** How much of the host the readers take. */
export const Effort = {
  /** What it can spare: the app runs, and is not to suffer. */
  spare: 'spare',
  /** All of it that CRIU leaves, which is at work too: the app is frozen, and waits for both. */
  behind: 'behind',
  /** All of it: the app is frozen, and waits for this. */
  full: 'full',
} as const;
export type Effort = (typeof Effort)[keyof typeof Effort];

/** In the background whatever else wants to run goes first; CRIU goes before the readers, as the agent's own work does. */
const NICE: Readonly<Record<Effort, number>> = { spare: 15, behind: 0, full: -10 };

/**
 * As many reader threads as the host can have, by its cores and the memory it has left.
 *
 * @param limit in its configuration
 */
export function threadsFor(
  limit = Math.min(availableParallelism(), MOST_THREADS),
  availableBytes = process.availableMemory(),
): number {
  return Math.max(1, Math.min(limit, Math.floor(availableBytes / MEMORY_PER_THREAD_BYTES)));
}

/**
 * How many threads work at once while the app runs: one more after each time that the host was idle, half of them when
 * tasks had to wait, down to one.
 */
export class Pace {
  readonly #most: number;
  readonly #pressure: () => Promise<Pressure | undefined>;
  readonly #now: () => number;
  #level: number;
  #sampledAt = Number.NEGATIVE_INFINITY;
  effort: Effort = Effort.spare;

  constructor(options: { most: number; pressure: () => Promise<Pressure | undefined>; now?: () => number }) {
    this.#most = options.most;
    this.#pressure = options.pressure;
    this.#now = options.now ?? (() => performance.now());
    this.#level = Math.max(1, Math.floor(options.most / 2));
  }

  get threads(): number {
    return this.effort === Effort.spare ? this.#level : this.#most;
  }

  get nice(): number {
    return NICE[this.effort];
  }

  /** Look at the pressure if it is time to. */
  async adapt(): Promise<void> {
    if (this.effort !== Effort.spare || this.#now() - this.#sampledAt < SAMPLE_MS) return;
    this.#sampledAt = this.#now();
    const pressure = await this.#pressure();
    if (pressure === undefined) return;
    if (pressure.cpu > CPU.crowded || pressure.memory > MEMORY_CROWDED) {
      this.#level = Math.max(LEAST, Math.floor(this.#level / 2));
    } else if (pressure.cpu < CPU.idle) {
      this.#level = Math.min(this.#most, this.#level + 1);
    }
  }
}
