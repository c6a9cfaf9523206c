import { setTimeout as sleep } from 'node:timers/promises';
import { formatRuntimeAddress, type RuntimeAddress } from './address.ts';
import type { Command } from './command.ts';
import { type Flight, flightCommands, flightOf } from './flight.ts';
import { appMissing, drainTimeout, inUse, notHeld } from './front-errors.ts';
import { addMap, getMap, setMap } from './maps.ts';
import { APP_SERVER, backendOf, Way } from './names.ts';
import type { Runtime } from './runtime.ts';
import { setServerAddress, setServerState } from './server-commands.ts';
import { Admin, type ServerConnections, showServersConn } from './servers.ts';
import { type AppView, type View, viewCommands, viewOf } from './view.ts';
import { Workers } from './workers.ts';

/** Where an app's requests are to go without Holdfast in between. */
export interface DirectTarget {
  readonly address: string;
  readonly port: number;
}

/** Tells of an app where HAProxy is to send its requests itself; otherwise they come to the gate. */
export type Wanted = (app: string) => DirectTarget | undefined;

export interface FrontOptions {
  readonly address: RuntimeAddress;
  /** The map's file, as the configuration of HAProxy names it. */
  readonly map: string;
  readonly apps: readonly string[];
  readonly wanted: Wanted;
  /** A hold may do without it while it cannot be reached: no user reaches it then either. */
  readonly isOptional?: boolean | undefined;
  /** See `RuntimeOptions`. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Between two looks at an app that seems idle. A request may have been sent on its way just before the map was changed
 * and be counted only after the first look: it is in the count, or over, at the second.
 */
const SECOND_LOOK_MS = 5;
/**
 * Every look takes HAProxy and the gateway some milliseconds of CPU time. Whether there is anything to be looked at is
 * told without one, so it need not be done often.
 */
const NEWS_MS = 1_000;
const LOOK_MS = 5_000;
/** For idle connections to be closed, which each thread does at once. */
const CLOSING_MS = 1_000;

/**
 * One HAProxy. Everything done to it is done in turn, so what is wanted by the time it is its turn is what it becomes:
 * an order from before a hold cannot arrive after it.
 */
export class Front {
  readonly name: string;
  readonly isOptional: boolean;
  readonly #options: FrontOptions;
  readonly #workers: Workers;
  #turn: Promise<unknown> = Promise.resolve();
  /** Of each app, the requests it had when it was last sent some directly, and by which process. */
  readonly #sent = new Map<string, { pid: number; total: number }>();
  /** Apps whose requests go to the gate whatever is wanted. */
  readonly #diverted = new Set<string>();
  /** What was wanted of all apps when HAProxy was last brought nearer to it. */
  #followed = '';

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#workers = new Workers(options);
    this.name = formatRuntimeAddress(options.address);
    this.isOptional = options.isOptional ?? false;
  }

  /**
   * Bring HAProxy a step nearer to what is wanted. An app is sent requests directly when a health check has passed at its
   * address; taking that back is one step.
   *
   * @returns whether every app is as it is wanted
   * @throws HoldfastError what `Runtime.ask` throws
   */
  follow(signal: AbortSignal): Promise<boolean> {
    return this.#inTurn(async () => {
      let isThere = true;
      this.#followed = this.#allWanted();
      await this.#workers.each(signal, async ({ runtime, isCurrent }) => {
        const view = await this.#view(runtime, signal);
        for (const [app, as] of view.apps) {
          const commands = this.#step(app, as, isCurrent);
          if (commands.length > 0) await runtime.ask(commands, signal);
          const isOnTheWay = isCurrent && as.way !== Way.direct && this.#wanted(app) !== undefined;
          // Until it is sent some; not during a hold, which asks how many there were since.
          if (isOnTheWay) this.#sent.set(app, { pid: view.pid, total: as.totalRequests });
          if (isOnTheWay || commands.length > 0) isThere = false;
        }
      });
      return isThere;
    });
  }

  /**
   * Once every app is as it is wanted: settles when HAProxy is to be looked at again. Something else is wanted, the master
   * was reloaded or has ended, or the last look was long ago. Of a reload no worker's own socket tells, so there it is
   * always time to look.
   */
  async news(signal: AbortSignal): Promise<void> {
    const until = performance.now() + LOOK_MS;
    do await sleep(NEWS_MS, undefined, { signal });
    while (this.#workers.areTheSame && this.#followed === this.#allWanted() && performance.now() < until);
  }

  /** The end of it: HAProxy stays as it is. */
  close(): void {
    this.#workers.close();
  }

  /**
   * Send the app's new requests to the gate, in every worker, whatever is wanted, until `followAgain`. Then all workers are
   * looked up anew: one that was reloaded in between would go on as it was.
   *
   * @throws HoldfastError `HAPROXY_NOT_HELD`, and as `follow`
   */
  async divert(app: string, signal: AbortSignal): Promise<void> {
    const { map } = this.#options;
    this.#diverted.add(app);
    await this.#inTurn(async () => {
      await this.#workers.each(signal, async ({ runtime }) => {
        const [way] = await runtime.ask([getMap(map, app)], signal);
        if (way === Way.direct) await runtime.ask([setMap(map, app, Way.gate)], signal);
      });
      await this.#workers.each(signal, async ({ runtime }) => {
        const [way] = await runtime.ask([getMap(map, app)], signal);
        if (way === Way.direct) throw notHeld(this.name, app);
      });
    });
  }

  /** The end of `divert`: what is wanted holds again. */
  followAgain(app: string): void {
    this.#diverted.delete(app);
  }

  /**
   * See that it answers and has the app: nothing is changed.
   *
   * @throws HoldfastError `HAPROXY_APP_MISSING`, and what `Runtime.ask` throws
   */
  async look(app: string, signal: AbortSignal): Promise<void> {
    await this.#inTurn(() =>
      this.#workers.each(signal, async ({ runtime, isCurrent }) => {
        const { apps } = await this.#view(runtime, signal);
        if (isCurrent && !apps.has(app)) throw appMissing(this.name, app);
      }),
    );
  }

  /**
   * Wait until no request is at the app by HAProxy's own count, then close the connections it keeps to it.
   *
   * @returns the requests that were in flight at the beginning, and those sent since the last hold
   * @throws HoldfastError `DRAIN_TIMEOUT`, and what `Runtime.ask` throws
   */
  async drain(
    app: string,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<{ drainedRequests: number; passedRequests: number }> {
    const until = performance.now() + timeoutMs;
    const before = this.#sent.get(app);
    const first = await this.#flight(app, signal);
    for (let last = first; ; ) {
      if (performance.now() > until) throw drainTimeout(app, last.requests, timeoutMs);
      await sleep(SECOND_LOOK_MS, undefined, { signal });
      const now = await this.#flight(app, signal);
      const isDrained = now.requests === 0 && last.requests === 0 && now.total === last.total;
      last = now;
      if (!isDrained) continue;
      await this.#rest(app, signal);
      const passedRequests = last.sent - (before?.pid === last.pid ? before.total : 0);
      return { drainedRequests: first.requests, passedRequests: Math.max(0, passedRequests) };
    }
  }

  /**
   * With its server in maintenance HAProxy checks it no more, and keeps no connection to it. A worker that is leaving
   * takes no such order any more: what it keeps idle is never used, as its requests go to the gate.
   */
  #rest(app: string, signal: AbortSignal): Promise<void> {
    const until = performance.now() + CLOSING_MS;
    const backend = backendOf(app);
    const look = showServersConn(backend);
    const order = setServerState({ backend, server: APP_SERVER }, 'maint');
    return this.#inTurn(() =>
      this.#workers.each(signal, async ({ runtime, isCurrent }) => {
        let [, servers] = isCurrent
          ? await runtime.ask([order, look], signal)
          : [undefined, ...(await runtime.ask([look], signal))];
        const isKept = ({ server, used, idle }: ServerConnections) =>
          server === APP_SERVER && used + (isCurrent ? idle : 0) > 0;
        while (servers.some(isKept)) {
          if (performance.now() > until) throw inUse(this.name, app);
          await sleep(1, undefined, { signal });
          [servers] = await runtime.ask([look], signal);
        }
      }),
    );
  }

  /** Of all workers together; `pid` and `sent` are of the one that takes new connections. */
  #flight(app: string, signal: AbortSignal): Promise<Flight> {
    return this.#inTurn(async () => {
      let flight: Flight = { pid: 0, requests: 0, total: 0, sent: 0 };
      await this.#workers.each(signal, async ({ runtime, isCurrent }) => {
        const own = flightOf(await runtime.ask(flightCommands(app), signal));
        flight = {
          ...(isCurrent ? own : flight),
          requests: flight.requests + own.requests,
          total: flight.total + own.total,
        };
      });
      return flight;
    });
  }

  /** What brings an app nearer to what is wanted of it now. */
  #step(app: string, as: AppView, isCurrent: boolean): Command<unknown>[] {
    const { map } = this.#options;
    const server = { backend: backendOf(app), server: APP_SERVER };
    const target = isCurrent ? this.#wanted(app) : undefined;
    const toGate = as.way === Way.direct ? [setMap(map, app, Way.gate)] : [];
    if (target === undefined) return toGate;
    const isElsewhere = as.address !== target.address || as.port !== target.port;
    if (isElsewhere || as.admin !== Admin.ready) {
      // By way of maintenance: it is checked afresh at its address, and nobody is sent there on an old connection.
      return [
        ...toGate,
        setServerState(server, 'maint'),
        setServerAddress(server, target),
        setServerState(server, 'ready'),
      ];
    }
    if (as.way === Way.direct || !as.isHealthy) return [];
    return [as.isMapped ? setMap(map, app, Way.direct) : addMap(map, app, Way.direct)];
  }

  #wanted(app: string): DirectTarget | undefined {
    return this.#diverted.has(app) ? undefined : this.#options.wanted(app);
  }

  #allWanted(): string {
    return JSON.stringify(this.#options.apps.map((app) => this.#wanted(app)));
  }

  async #view(runtime: Runtime, signal: AbortSignal): Promise<View> {
    const { map, apps } = this.#options;
    return viewOf(apps, await runtime.ask(viewCommands(map), signal));
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(act);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}
