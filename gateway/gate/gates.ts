import { HoldfastError } from '../../migrator/errors.ts';
import type { Gate, HoldReport, ReleaseReport, Target } from '../../migrator/gate.ts';
import { AppGate } from './app-gate.ts';
import type { GateLimits } from './limits.ts';
import type { GateSnapshot } from './state.ts';
import type { Upgrades } from './upgrades.ts';
import { Upstream, type UpstreamTimeouts } from './upstream.ts';

export interface AppOptions {
  readonly limits: GateLimits;
  /** `wait` when not given. */
  readonly upgrades?: Upgrades;
  /** An origin that answers GET and HEAD while the app is held. */
  readonly replicaUrl?: string | undefined;
}

/** The gates of all apps behind the built-in proxy. */
export class Gates implements Gate {
  readonly #gates = new Map<string, AppGate>();

  /** @param onMissed called for each request that did not find its app where it is taken to be, or anywhere */
  constructor(
    apps: Readonly<Record<string, AppOptions>>,
    timeouts: UpstreamTimeouts,
    onMissed: (app: string) => void = () => {},
  ) {
    const openUpstream = (url: string, onUnreachable?: () => void) =>
      new Upstream(url, timeouts, onUnreachable);
    for (const [app, options] of Object.entries(apps)) {
      this.#gates.set(app, new AppGate(app, { ...options, openUpstream, onMissed: () => onMissed(app) }));
    }
  }

  /** @throws HoldfastError `APP_UNKNOWN` */
  of(app: string): AppGate {
    const gate = this.#gates.get(app);
    if (gate) return gate;
    throw new HoldfastError('APP_UNKNOWN', `there is no app ${app}`, {
      mend: `name one of: ${[...this.#gates.keys()].join(', ')}`,
    });
  }

  /** Where the app runs, if anywhere, at the start or when found out later. A migration tells by `release` instead. */
  setTarget(app: string, target: Target | undefined): void {
    this.of(app).setTarget(target);
  }

  /** Hold from the first request on, until `release`: for an app whose migration the last run left unfinished. */
  closeAtStart(app: string): void {
    this.of(app).closeAtStart();
  }

  snapshot(app: string): GateSnapshot {
    return this.of(app).snapshot();
  }

  async hold(app: string, options: { drainTimeoutMs: number; signal: AbortSignal }): Promise<HoldReport> {
    return this.of(app).hold(options);
  }

  async release(app: string, target: Target): Promise<ReleaseReport> {
    return this.of(app).release(target);
  }

  /** Turn away what is held and close every connection to every app. */
  async close(): Promise<void> {
    await Promise.all([...this.#gates.values()].map((gate) => gate.close()));
  }
}
