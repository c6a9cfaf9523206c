import type { ContainerReport } from '../migrator/agent/protocol.ts';
import { anySignal } from '../migrator/any-signal.ts';
import { HoldfastError } from '../migrator/errors.ts';
import type { AppConfig } from './config/schema.ts';
import type { Placements } from './placements/placements.ts';
import { askAll, type ContainerHost, type HostAnswer } from './placements/survey.ts';
import { judge } from './placements/verdict.ts';

const SURVEY_DEADLINE_MS = 3_000;
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 15_000;

export interface AppsOptions {
  readonly apps: Readonly<Record<string, AppConfig>>;
  readonly agents: ReadonlyMap<string, ContainerHost>;
  readonly placements: Placements;
  /** Apps in a migration's hands. */
  readonly isMoving: (app: string) => boolean;
}

/** Starts and stops apps, one thing at a time for each, and never a second copy. */
export class Apps {
  readonly #options: AppsOptions;
  readonly #busy = new Set<string>();

  constructor(options: AppsOptions) {
    this.#options = options;
  }

  names(): string[] {
    return Object.keys(this.#options.apps);
  }

  /** @throws HoldfastError `APP_UNKNOWN` */
  config(app: string): AppConfig {
    const config = Object.hasOwn(this.#options.apps, app) ? this.#options.apps[app] : undefined;
    if (config !== undefined) return config;
    throw new HoldfastError('APP_UNKNOWN', `no app is called ${app}`, {
      mend: `name one of: ${this.names().join(', ')}`,
    });
  }

  /**
   * The app can be given to a migration: it has a container, and is not being started or stopped.
   *
   * @throws HoldfastError `APP_UNKNOWN`, `APP_HAS_NO_CONTAINER`, `APP_BUSY`
   */
  assertMovable(app: string): void {
    this.#containerOf(app);
    if (this.#busy.has(app)) {
      throw new HoldfastError('APP_BUSY', `${app} is being started or stopped`, {
        mend: 'try again when that is done',
        retryable: true,
      });
    }
  }

  /**
   * Start the app on `host`, unless it runs anywhere or may do so on a host that cannot be asked.
   *
   * @throws HoldfastError `HOST_UNKNOWN`, `ALREADY_RUNNING`, `MAY_RUN_ELSEWHERE`, `MIGRATION_UNDER_WAY`, what
   * `assertMovable` throws, and what the agent answers
   */
  async start(app: string, host: string, signal: AbortSignal): Promise<void> {
    await this.#alone(app, async (container) => {
      const agent = this.#agentOf(host);
      const answers = await this.#ask(signal);
      const verdict = judge(container, answers);
      if (verdict.kind === 'runs' || verdict.kind === 'twice') {
        const where = verdict.kind === 'runs' ? verdict.host : verdict.hosts.join(' and ');
        throw new HoldfastError('ALREADY_RUNNING', `${app} runs on ${where} already`, {
          mend: `move it with: gateway migrate ${app} --to ${host}`,
        });
      }
      if (verdict.kind === 'unsure') {
        const silent = verdict.silent.join(' and ');
        throw new HoldfastError('MAY_RUN_ELSEWHERE', `${app} may run on ${silent}, which does not answer`, {
          mend: `bring its agent up, or take ${silent} out of the configuration if it is gone for good`,
          retryable: true,
        });
      }
      await agent.start(container, anySignal([signal, AbortSignal.timeout(START_DEADLINE_MS)]));
      await this.#options.placements.started(app, host);
    });
  }

  /**
   * Stop the app: where it runs, or on `host` only, which ends a second copy.
   *
   * @returns the host it was stopped on
   * @throws HoldfastError `NOT_RUNNING`, `HOST_UNKNOWN`, `MIGRATION_UNDER_WAY`, what `assertMovable` throws, and what
   * the agent answers
   */
  async stop(app: string, host: string | undefined, signal: AbortSignal): Promise<string> {
    const { placements } = this.#options;
    return this.#alone(app, async (container) => {
      const place = host ?? placements.hostOf(app) ?? (await this.#find(container, signal));
      if (place === undefined) {
        throw new HoldfastError('NOT_RUNNING', `${app} runs on no host that answers`, {
          mend: 'gateway status tells which hosts answer',
        });
      }
      const within = anySignal([signal, AbortSignal.timeout(STOP_DEADLINE_MS)]);
      await this.#agentOf(place).remove(container, within);
      if ((placements.hostOf(app) ?? place) === place) await placements.stopped(app);
      placements.watch(); // The other one of two copies may be left, and is the app from now on.
      return place;
    });
  }

  async #alone<T>(app: string, act: (container: string) => Promise<T>): Promise<T> {
    this.assertMovable(app);
    if (this.#options.isMoving(app)) {
      throw new HoldfastError('MIGRATION_UNDER_WAY', `${app} is being moved`, {
        mend: 'wait for the migration: gateway status shows it',
        retryable: true,
      });
    }
    this.#busy.add(app);
    try {
      return await act(this.#containerOf(app));
    } finally {
      this.#busy.delete(app);
    }
  }

  async #find(container: string, signal: AbortSignal): Promise<string | undefined> {
    const verdict = judge(container, await this.#ask(signal));
    if (verdict.kind === 'twice') {
      throw new HoldfastError('TWO_INSTANCES', `${container} runs on ${verdict.hosts.join(' and ')}`, {
        mend: 'name the host of the one to stop',
      });
    }
    return verdict.kind === 'runs' ? verdict.host : undefined;
  }

  #ask(signal: AbortSignal): Promise<HostAnswer<ContainerReport[]>[]> {
    const within = anySignal([signal, AbortSignal.timeout(SURVEY_DEADLINE_MS)]);
    return askAll(this.#options.agents.values(), (agent) => agent.containers(within));
  }

  #containerOf(app: string): string {
    const { container } = this.config(app);
    if (container !== undefined) return container;
    throw new HoldfastError('APP_HAS_NO_CONTAINER', `${app} is an upstream, not a container`, {
      mend: 'only apps with container: in the configuration are started, stopped and moved',
    });
  }

  #agentOf(host: string): ContainerHost {
    const { agents } = this.#options;
    const agent = agents.get(host);
    if (agent !== undefined) return agent;
    throw new HoldfastError('HOST_UNKNOWN', `no host is called ${host}`, {
      mend: `name one of: ${[...agents.keys()].join(', ')}`,
    });
  }
}
