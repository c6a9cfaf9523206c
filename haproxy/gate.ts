import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { anySignal } from '../migrator/any-signal.ts';
import { HoldfastError } from '../migrator/errors.ts';
import type { Gate, HoldReport, ReleaseReport, Target } from '../migrator/gate.ts';
import type { Front } from './front.ts';

export interface HaproxyGateOptions {
  /** Holdfast's own gate, to which HAProxy sends what it does not send to an app itself. */
  readonly gate: Gate;
  /** Where the gate, being open, sends an app's requests. */
  readonly openTarget: (app: string) => Target | undefined;
  readonly fronts: readonly Front[];
  readonly log: Logger;
}

/** How the last look at a HAProxy went. */
export interface FrontState {
  readonly name: string;
  readonly isOptional: boolean;
  /** False also before the first look. */
  readonly answers: boolean;
  /** Why it does not. */
  readonly failure?: unknown;
}

/** How soon an app goes directly once its check has passed. */
const ON_THE_WAY_MS = 50;

/**
 * The gate with HAProxy in front of it. While the gate of an app is open and the app is well, HAProxy sends the app's
 * requests to it directly, and nothing of Holdfast is in their way. In all other cases they come to the gate.
 *
 * So each HAProxy follows the gate: it is looked at whenever there may be news, and put right, whatever it has been through.
 * Only a hold does not wait for that: it has every HAProxy confirm, and drain.
 */
export class HaproxyGate implements Gate {
  readonly #options: HaproxyGateOptions;
  readonly #stop = new AbortController();
  #following: Promise<unknown> = Promise.resolve();
  #hurry = new AbortController();
  /** Apps whose gates are being opened: until what they held is let go, it is not time to go directly, but soon. */
  readonly #opening = new Set<string>();
  readonly #looks = new Map<Front, Pick<FrontState, 'answers' | 'failure'>>();

  constructor(options: HaproxyGateOptions) {
    this.#options = options;
  }

  /** Begin to drive HAProxy: by now the gate must take what comes to it. */
  start(): void {
    this.#following = Promise.all(this.#options.fronts.map((front) => this.#follow(front)));
  }

  /** Of every HAProxy, as it was when it was last looked at. */
  states(): FrontState[] {
    return this.#options.fronts.map((front) => {
      const { name, isOptional } = front;
      return { name, isOptional, ...(this.#looks.get(front) ?? { answers: false }) };
    });
  }

  /**
   * See `Gate.hold`. HAProxys that do not answer are found before anything is changed. One that is optional is then left
   * out: it is put right when it is back, as after a restart. The gate closes once all others send it what is new, so
   * that nobody waits for their answers.
   *
   * @throws HoldfastError as `Gate.hold`, and what `Front` throws
   */
  async hold(
    app: string,
    { drainTimeoutMs, signal }: { drainTimeoutMs: number; signal: AbortSignal },
  ): Promise<HoldReport> {
    const target = this.#options.openTarget(app);
    const fronts = await this.#reached(app, signal);
    try {
      await Promise.all(fronts.map((front) => front.divert(app, signal)));
      return await this.#close(app, fronts, { target, drainTimeoutMs, signal });
    } catch (error) {
      if (target !== undefined) this.#followSoon(app);
      throw signal.aborted ? calledOff(app, error) : error;
    } finally {
      for (const front of fronts) front.followAgain(app);
    }
  }

  /** Close the gate, to which all new requests go by now, and wait for those under way; open it again if that fails. */
  async #close(
    app: string,
    fronts: readonly Front[],
    options: { target: Target | undefined; drainTimeoutMs: number; signal: AbortSignal },
  ): Promise<HoldReport> {
    const { gate } = this.#options;
    const { target, drainTimeoutMs } = options;
    const off = new AbortController();
    const signal = anySignal([options.signal, off.signal]);
    const closedAtMs = performance.now();
    const closed = gate.hold(app, { drainTimeoutMs, signal });
    try {
      const drained = fronts.map((front) => front.drain(app, { timeoutMs: drainTimeoutMs, signal }));
      const [own, direct] = await Promise.all([closed, Promise.all(drained)]);
      const reports = [own, ...direct];
      return {
        drainedRequests: reports.reduce((sum, report) => sum + report.drainedRequests, 0),
        drainMs: performance.now() - closedAtMs,
        passedRequests: reports.reduce((sum, report) => sum + report.passedRequests, 0),
      };
    } catch (error) {
      off.abort(error);
      const wasClosed = await closed.then(
        () => true,
        () => false,
      );
      if (wasClosed && target !== undefined) await gate.release(app, target);
      throw error;
    }
  }

  /** See `Gate.release`. HAProxy sends requests to the app itself again as soon as it has checked it. */
  async release(app: string, target: Target): Promise<ReleaseReport> {
    const report = await this.#options.gate.release(app, target);
    this.#followSoon(app);
    return report;
  }

  /** Leave every HAProxy as it is: it goes on without Holdfast. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#hurryUp();
    await this.#following;
    for (const front of this.#options.fronts) front.close();
  }

  /** Those that answer: all, but for optional ones, and at least one. */
  async #reached(app: string, signal: AbortSignal): Promise<Front[]> {
    const { fronts, log } = this.#options;
    const looks = await Promise.allSettled(fronts.map((front) => front.look(app, signal)));
    const missed = fronts.flatMap((front, i) => {
      const look = looks[i];
      return look?.status === 'rejected' ? [{ front, reason: look.reason }] : [];
    });
    for (const { front, reason } of missed) {
      if (isOutOfReach(reason)) this.#looks.set(front, { answers: false, failure: reason });
    }
    const fatal = missed.find(({ front, reason }) => !front.isOptional || !isOutOfReach(reason));
    if (fatal !== undefined) throw fatal.reason;
    if (missed.length > 0 && missed.length === fronts.length) throw missed[0]?.reason;
    for (const { front, reason } of missed) {
      log.warn({ haproxy: front.name, app, err: reason }, 'HAProxy cannot be reached, and is left out');
    }
    return fronts.filter((front) => missed.every((one) => one.front !== front));
  }

  async #follow(front: Front): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    let failure: string | undefined;
    while (!signal.aborted) {
      const hurry = this.#hurry.signal;
      const isOpening = this.#isOpening(); // Before the look: what opens after it is found by the next one.
      let isThere = false;
      try {
        isThere = (await front.follow(signal)) && !isOpening;
        this.#looks.set(front, { answers: true });
        if (failure !== undefined) log.info({ haproxy: front.name }, 'HAProxy answers again');
        failure = undefined;
      } catch (error) {
        if (signal.aborted) return;
        this.#looks.set(front, { answers: false, failure: error });
        const text = error instanceof Error ? error.message : String(error);
        if (text !== failure) log.warn({ haproxy: front.name, err: error }, 'HAProxy cannot be driven');
        failure = text;
      }
      const next = isThere ? front.news(hurry) : sleep(ON_THE_WAY_MS, undefined, { signal: hurry });
      await next.catch(() => {});
    }
  }

  #followSoon(app: string): void {
    this.#opening.add(app);
    this.#hurryUp();
  }

  #isOpening(): boolean {
    for (const app of this.#opening) {
      if (this.#options.openTarget(app) !== undefined) this.#opening.delete(app);
    }
    return this.#opening.size > 0;
  }

  #hurryUp(): void {
    this.#hurry.abort();
    this.#hurry = new AbortController();
  }
}

const OUT_OF_REACH: ReadonlySet<string> = new Set([
  'HAPROXY_UNREACHABLE',
  'HAPROXY_SILENT',
  'HAPROXY_CONNECTION_LOST',
]);

function isOutOfReach(error: unknown): boolean {
  return error instanceof HoldfastError && OUT_OF_REACH.has(error.code);
}

function calledOff(app: string, cause: unknown): HoldfastError {
  return new HoldfastError('HOLD_CALLED_OFF', `the hold of ${app} was called off while it drained`, {
    retryable: true,
    cause,
  });
}
