import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../migrator/errors.ts';
import { formatRuntimeAddress, type RuntimeAddress } from './address.ts';
import type { Command } from './command.ts';
import { type Flight, flightCommands, flightOf } from './flight.ts';
import { appMissing, drainTimeout, inUse, notHeld } from './front-errors.ts';
import { addMap, getMap, setMap } from './maps.ts';
import { APP_SERVER, backendOf, Way } from './names.ts';
import { showWorkers } from './processes.ts';
import { OneShotRuntime, type Runtime } from './runtime.ts';
import { setServerAddress, setServerState } from './server-commands.ts';
import { Admin, type ServerConnections, showServersConn } from './servers.ts';
import { type AppView, type View, viewCommands, viewOf } from './view.ts';

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

interface Worker {
  readonly runtime: Runtime;
  /** It takes new connections; otherwise it only ends what it has. */
  readonly isCurrent: boolean;
  /** Of one that only ends what it has. */
  readonly pid?: number;
}

/**
 * Between two looks at an app that seems idle. A request may have been sent on its way just before the map was changed
 * and be counted only after the first look: it is in the count, or over, at the second.
 */
const SECOND_LOOK_MS = 5;
/** For idle connections to be closed, which each thread does at once, and for a master to notice that a worker ended. */
const CLOSING_MS = 1_000;

/**
 * One HAProxy. Everything done to it is done in turn, so what is wanted by the time it is its turn is what it becomes:
 * an order from before a hold cannot arrive after it.
 */
export class Front {
  readonly name: string;
  readonly isOptional: boolean;
  readonly #options: FrontOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #isMaster: boolean | undefined;
  /** Of each app, the requests it had when it was last sent some directly, and by which process. */
  readonly #sent = new Map<string, { pid: number; total: number }>();
  /** Apps whose requests go to the gate whatever is wanted. */
  readonly #diverted = new Set<string>();

  constructor(options: FrontOptions) {
    this.#options = options;
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
      await this.#each(signal, async ({ runtime, isCurrent }) => {
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
   * Send the app's new requests to the gate, in every worker, whatever is wanted, until `followAgain`. Then all workers are
   * looked up anew: one that was reloaded in between would go on as it was.
   *
   * @throws HoldfastError `HAPROXY_NOT_HELD`, and as `follow`
   */
  async divert(app: string, signal: AbortSignal): Promise<void> {
    const { map } = this.#options;
    this.#diverted.add(app);
    await this.#inTurn(async () => {
      await this.#each(signal, async ({ runtime }) => {
        const [way] = await runtime.ask([getMap(map, app)], signal);
        if (way === Way.direct) await runtime.ask([setMap(map, app, Way.gate)], signal);
      });
      await this.#each(signal, async ({ runtime }) => {
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
      this.#each(signal, async ({ runtime, isCurrent }) => {
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
      this.#each(signal, async ({ runtime, isCurrent }) => {
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
      await this.#each(signal, async ({ runtime, isCurrent }) => {
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

  async #view(runtime: Runtime, signal: AbortSignal): Promise<View> {
    const { map, apps } = this.#options;
    return viewOf(apps, await runtime.ask(viewCommands(map), signal));
  }

  async #each(signal: AbortSignal, act: (worker: Worker) => Promise<void>): Promise<void> {
    for (const worker of await this.#workers(signal)) {
      try {
        await act(worker);
      } catch (error) {
        // One that was leaving and has left has nothing in flight, and sends nobody anywhere.
        if (worker.isCurrent || !(await this.#hasLeft(worker, error, signal))) throw error;
      }
    }
  }

  /** It may have gone before it was asked, or in the middle of its answer; the master tells of it a moment longer. */
  async #hasLeft({ pid }: Worker, error: unknown, signal: AbortSignal): Promise<boolean> {
    const code = error instanceof HoldfastError ? error.code : undefined;
    if (code !== 'HAPROXY_CONNECTION_LOST') return code === 'HAPROXY_WORKER_GONE';
    for (const until = performance.now() + CLOSING_MS; performance.now() < until; ) {
      if (!(await this.#workers(signal)).some((worker) => worker.pid === pid)) return true;
      await sleep(SECOND_LOOK_MS, undefined, { signal });
    }
    return false;
  }

  /** After a reload there is more than one for a while; only a master tells of them. */
  async #workers(signal: AbortSignal): Promise<Worker[]> {
    const { address, timeoutMs } = this.#options;
    const current: Worker = { runtime: new OneShotRuntime({ address, timeoutMs }), isCurrent: true };
    if (this.#isMaster === false) return [current];
    try {
      const [workers] = await current.runtime.ask([showWorkers()], signal);
      this.#isMaster = true;
      const leaving = workers
        .filter(({ reloads }) => reloads > 0)
        .map(({ pid }) => ({
          runtime: new OneShotRuntime({ address, timeoutMs, workerPid: pid }),
          isCurrent: false,
          pid,
        }));
      return [current, ...leaving];
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'HAPROXY_NO_MASTER') throw error;
      this.#isMaster = false;
      return [current];
    }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(act);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}
