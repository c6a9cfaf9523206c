import type { Target } from './gate.ts';

/** Where every app runs. What the saga asks of whoever keeps this. */
export interface Placements {
  /** The host that runs the app, as far as is known. */
  hostOf(app: string): string | undefined;
  /** Whether the configuration has this host: one that a crashed migration names may be gone from it. */
  isHost(host: string): boolean;
  /** How the gate reaches the app when it runs on `host`. */
  targetAt(app: string, host: string): Target;
  /** Remember that the app runs on `host` now. Never rejects: what cannot be kept, the agents tell again. */
  moved(app: string, host: string): Promise<void>;
}
