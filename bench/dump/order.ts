import type { RuncContainer } from '../../migrator/engine/runc/config.ts';

/** What the program on the host is to do. */
export interface DumpOrder {
  readonly container: RuncContainer;
  readonly rounds: number;
  /** Threads at most; as many as the host can have when not given. */
  readonly workers?: number;
}

/** One dump. `parallel` begins with nothing; `compare` with all of it known from before the freeze. */
export interface DumpMeasurement {
  readonly way: 'criu' | 'parallel' | 'compare';
  readonly ms: number;
  /** Written, or at hand to be sent. */
  readonly bytes: number;
  readonly threads: number;
}
