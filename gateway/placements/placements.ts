import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ContainerReport } from '../../migrator/agent/protocol.ts';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import type { Target } from '../../migrator/gate.ts';
import type { Placements as MigratorPlacements } from '../../migrator/placements.ts';
import type { PlacementMemory } from './memory.ts';
import { askAll, type ContainerHost } from './survey.ts';
import { judge, type Place, placeOf, type Verdict } from './verdict.ts';

const SURVEY_DEADLINE_MS = 3_000;
/** Between two surveys there is at least so much time, whatever is asked for. */
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;

export interface PlacedHost {
  readonly agent: ContainerHost;
  /** The address apps on this host are reached at. */
  readonly address: string;
}

export interface PlacementsOptions {
  /** App to the name of its container. */
  readonly apps: ReadonlyMap<string, string>;
  readonly hosts: ReadonlyMap<string, PlacedHost>;
  readonly memory: PlacementMemory;
  readonly log: Logger;
  /** Called when a survey, or a start or stop by hand, has told where an app is; without a target when it is nowhere. */
  readonly onPlaced: (app: string, target: Target | undefined) => void;
  /** Apps in a migration's hands are left to it. */
  readonly isMoving: (app: string) => boolean;
}

/**
 * Where every app runs. The hosts know it, so they are asked at the start and, as long as some app has not been found,
 * again and again, sooner while somebody wants it; what they said last is remembered for a start while they are out of
 * reach.
 */
export class Placements implements MigratorPlacements {
  readonly #options: PlacementsOptions;
  readonly #places = new Map<string, Place>();
  readonly #ports = new Map<string, Map<string, number>>();
  readonly #said = new Map<string, string>();
  readonly #stop = new AbortController();
  #watching: Promise<void> | undefined;
  /** Fires when somebody wants an app that is not there. */
  #hurry = new AbortController();

  private constructor(options: PlacementsOptions) {
    this.#options = options;
  }

  /** @throws HoldfastError `PLACEMENTS_UNREADABLE` */
  static async open(options: PlacementsOptions): Promise<Placements> {
    const placements = new Placements(options);
    const { hosts, ports } = await options.memory.read();
    for (const app of options.apps.keys()) {
      const host = hosts[app];
      const known = host !== undefined && options.hosts.has(host) && ports[app]?.[host] !== undefined;
      placements.#places.set(app, { host: known ? host : undefined, confirmed: false });
      placements.#ports.set(app, new Map(Object.entries(ports[app] ?? {})));
    }
    return placements;
  }

  hostOf(app: string): string | undefined {
    return this.#places.get(app)?.host;
  }

  isHost(host: string): boolean {
    return this.#options.hosts.has(host);
  }

  /** @throws HoldfastError `PLACE_UNKNOWN` when no host has told the port of the app's container yet. */
  targetAt(app: string, host: string): Target {
    const target = this.#targetAt(app, host);
    if (target !== undefined) return target;
    throw new HoldfastError('PLACE_UNKNOWN', `it is not known where ${app} is reached on ${host}`, {
      mend: `see that the agent on ${host} runs and has the container in its configuration, and knows its port`,
      retryable: true,
    });
  }

  async moved(app: string, host: string): Promise<void> {
    this.#places.set(app, { host, confirmed: true });
    await this.#remember();
  }

  /** The app was started on `host` by hand, outside of any migration. */
  async started(app: string, host: string): Promise<void> {
    await this.moved(app, host);
    this.#options.onPlaced(app, this.targetAt(app, host));
  }

  /** The app was stopped by hand. */
  async stopped(app: string): Promise<void> {
    this.#places.set(app, { host: undefined, confirmed: true });
    this.#options.onPlaced(app, undefined);
    await this.#remember();
  }

  /** Ask every host once and take over what they say. */
  async survey(): Promise<void> {
    const { log, isMoving } = this.#options;
    const signal = anySignal([this.#stop.signal, AbortSignal.timeout(SURVEY_DEADLINE_MS)]);
    const agents = [...this.#options.hosts.values()].map(({ agent }) => agent);
    const before = new Map([...this.#places].map(([app, { host }]) => [app, host]));
    const answers = await askAll(agents, (agent) => agent.containers(signal));
    for (const answer of answers) {
      if (answer.reachable) this.#learnPorts(answer.host, answer.answer);
      else log.debug({ host: answer.host, code: answer.error.code }, 'host does not answer');
    }
    for (const [app, container] of this.#options.apps) {
      // What changed while the hosts were asked is newer than their answers.
      if (isMoving(app) || before.get(app) !== this.hostOf(app)) continue;
      this.#take(app, judge(container, answers));
    }
    await this.#remember();
  }

  /** Survey in the background, ever less often, until every app has been found. */
  watch(): void {
    this.#watching ??= this.#searchUntilFound()
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'search for apps broke off'))
      .finally(() => {
        this.#watching = undefined;
      });
  }

  /**
   * A request did not find the app where it is taken to be, or it is taken to be nowhere: somebody may have started, stopped
   * or made it anew by hand. Has the next survey be soon; may be called as often as requests come.
   */
  missed(app: string): void {
    const place = this.#places.get(app);
    if (place === undefined || this.#options.isMoving(app)) return;
    this.#places.set(app, { ...place, confirmed: false });
    this.#hurry.abort();
    this.watch();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #searchUntilFound(): Promise<void> {
    const { signal } = this.#stop;
    for (let delayMs = FIRST_RETRY_MS; this.#someAreMissing() && !signal.aborted; ) {
      this.#hurry = new AbortController();
      await elapsed(FIRST_RETRY_MS, signal);
      await elapsed(delayMs - FIRST_RETRY_MS, anySignal([signal, this.#hurry.signal]));
      if (signal.aborted) return;
      delayMs = this.#hurry.signal.aborted ? FIRST_RETRY_MS : Math.min(delayMs * 2, MAX_RETRY_MS);
      await this.survey();
    }
  }

  #targetAt(app: string, host: string): Target | undefined {
    const ports = this.#ports.get(app);
    const address = this.#options.hosts.get(host)?.address;
    // A host that has not answered yet almost surely has the container on the port the others have it on.
    const port = ports?.get(host) ?? ports?.values().next().value;
    if (address === undefined || port === undefined) return undefined;
    return { host, url: `http://${address.includes(':') ? `[${address}]` : address}:${port}` };
  }

  #someAreMissing(): boolean {
    return [...this.#places.values()].some((place) => !place.confirmed || place.host === undefined);
  }

  #learnPorts(host: string, reports: readonly ContainerReport[]): void {
    for (const [app, container] of this.#options.apps) {
      const report = reports.find(({ name }) => name === container);
      // A container that is not there may have no port yet.
      if (report !== undefined && report.port !== 0) this.#ports.get(app)?.set(host, report.port);
    }
  }

  #take(app: string, verdict: Verdict): void {
    const { host, confirmed } = placeOf(verdict, this.hostOf(app));
    const target = host === undefined ? undefined : this.#targetAt(app, host);
    this.#say(app, verdict, target);
    // Of an app that is found but not reached the port may be told later.
    this.#places.set(app, { host, confirmed: confirmed && (host === undefined || target !== undefined) });
    this.#options.onPlaced(app, target);
  }

  /** One line for each change of what is known, not one for each survey. */
  #say(app: string, verdict: Verdict, target: Target | undefined): void {
    const said = JSON.stringify([verdict, target]);
    if (this.#said.get(app) === said) return;
    this.#said.set(app, said);
    const { log } = this.#options;
    const { kind, ...evidence } = verdict;
    if (kind === 'runs' && target === undefined) {
      log.warn({ app, ...evidence }, 'app found, but not the port it is reached at');
    } else if (kind === 'runs') log.info({ app, ...evidence, url: target?.url }, 'app found');
    else if (kind === 'nowhere') log.warn({ app }, 'app runs nowhere');
    else if (kind === 'unsure') log.warn({ app, ...evidence }, 'app not found, but not every host answers');
    else {
      log.error(
        { app, ...evidence, code: 'TWO_INSTANCES' },
        `${app} runs on more than one host; only the last known place is served: stop the others by hand`,
      );
    }
  }

  /** A full disk must not undo a move that has been committed: the hosts can be asked again, the file is a help. */
  async #remember(): Promise<void> {
    const hosts = [...this.#places].flatMap(([app, { host }]) => (host === undefined ? [] : [[app, host]]));
    const ports = [...this.#ports].map(([app, known]) => [app, Object.fromEntries(known)]);
    const content = { hosts: Object.fromEntries(hosts), ports: Object.fromEntries(ports) };
    await this.#options.memory.write(content).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'the placements cannot be written down');
    });
  }
}

/** Or `signal` has fired. */
async function elapsed(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await wait(ms, undefined, { signal }).catch(() => {});
}
