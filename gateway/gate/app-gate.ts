import { setImmediate as afterIo } from 'node:timers';
import { HoldfastError } from '../../migrator/errors.ts';
import type { HoldReport, ReleaseReport, Target } from '../../migrator/gate.ts';
import { Drain } from './drain.ts';
import { HeldRequests } from './held-requests.ts';
import type { GateLimits } from './limits.ts';
import { type GateSnapshot, GateState } from './state.ts';
import { Upgrades } from './upgrades.ts';
import type { Upstream } from './upstream.ts';
import { AnsweredBy, Refusal, Stage, type Visit } from './visit.ts';

interface Opening {
  readonly heldRequests: number;
  readonly settle: (holdMs: number) => void;
}

/**
 * The gate of one app: it alone owns its state, what it holds back and whoever waits for it.
 *
 * A second `hold` while `releasing` takes effect at once: what is still queued keeps its place at the head, what was
 * let through drains like any other request. Requests that outlived a drain's budget do not count against the pace of
 * the release that follows: long polls would otherwise lock everybody else out.
 */
export class AppGate {
  readonly limits: GateLimits;
  readonly #app: string;
  readonly #upgrades: Upgrades;
  readonly #openUpstream: (url: string) => Upstream;
  readonly #onMissed: () => void;
  readonly #replica: Upstream | undefined;
  readonly #held: HeldRequests;
  #state: GateState = GateState.open;
  #target: Target | undefined = undefined;
  #upstream: Upstream | undefined = undefined;
  #inFlight = 0;
  #passed = 0;
  readonly #upgraded = new Set<Visit>();
  #paced = 0;
  /** Let through and not yet on the wire: the next one waits for it, or two connections could swap their order. */
  #starting: Visit | undefined = undefined;
  #closedAtMs = 0;
  #drain: Drain | undefined = undefined;
  #opening: Opening | undefined = undefined;
  #closing = false;

  constructor(
    app: string,
    options: {
      limits: GateLimits;
      upgrades?: Upgrades;
      replicaUrl?: string | undefined;
      openUpstream: (url: string, onUnreachable?: () => void) => Upstream;
      /** The app is not where it is taken to be, or not taken to be anywhere. */
      onMissed: () => void;
    },
  ) {
    this.#app = app;
    this.limits = options.limits;
    this.#upgrades = options.upgrades ?? Upgrades.wait;
    this.#held = new HeldRequests(options.limits, (visit) => this.#refuse(visit, Refusal.heldTooLong));
    this.#onMissed = options.onMissed;
    this.#openUpstream = (url) => options.openUpstream(url, options.onMissed);
    this.#replica = options.replicaUrl === undefined ? undefined : options.openUpstream(options.replicaUrl);
  }

  snapshot(): GateSnapshot {
    return {
      state: this.#state,
      ...(this.#target ? { target: this.#target } : {}),
      inFlight: this.#inFlight,
      heldRequests: this.#held.size,
      heldBytes: this.#held.bytes,
    };
  }

  /** A request has come: it is sent on, queued, or turned away before this returns. */
  arrive(visit: Visit): void {
    if (this.#state === GateState.open) {
      this.#pass(visit);
    } else if (this.#replica && visit.replicaMayAnswer && this.#state !== GateState.releasing) {
      visit.stage = Stage.atReplica;
      visit.onSend(this.#replica, AnsweredBy.replica);
    } else {
      this.#enqueue(visit);
    }
  }

  /** The replica failed before anything went to the client: from now on the request waits like any other. */
  replicaFailed(visit: Visit): void {
    if (this.#state === GateState.open) this.#pass(visit);
    else this.#enqueue(visit);
  }

  /** The request's head is on the wire. */
  started(visit: Visit): void {
    if (visit !== this.#starting) return;
    this.#starting = undefined;
    this.#settleOpening();
    queueMicrotask(this.#pump);
  }

  /** The answer has no end in sight (an upgrade, an event stream): it must not keep the queue from being let go. */
  openEnded(visit: Visit, upgraded: boolean): void {
    if (visit.stage !== Stage.atTarget) return;
    this.#freePlace(visit);
    if (!upgraded) return;
    this.#upgraded.add(visit);
    this.#closeUpgraded();
  }

  /** The request is over, whichever way, or its client is gone. Any call after the first does nothing. */
  leave(visit: Visit): void {
    const { stage } = visit;
    visit.stage = Stage.gone;
    if (stage === Stage.held) {
      this.#held.remove(visit);
      if (this.#state === GateState.releasing) queueMicrotask(this.#pump);
    } else if (stage === Stage.atTarget) {
      this.#inFlight -= 1;
      const wasUpgraded = this.#upgraded.delete(visit);
      this.#freePlace(visit);
      this.started(visit);
      if (this.#inFlight === 0) this.#drain?.done();
      else if (!wasUpgraded) this.#closeUpgraded();
    }
  }

  /**
   * Where the app is, or that it is nowhere, found out by other means than a release, which always knows better: it is
   * not heard while the gate drains or releases. An open gate lets what is in flight finish where it is.
   */
  setTarget(target: Target | undefined): void {
    if (this.#state === GateState.draining || this.#state === GateState.releasing) return;
    const moved = target?.url !== this.#target?.url;
    this.#target = target;
    if (this.#state === GateState.held || !moved) return;
    void this.#upstream?.retire();
    this.#upstream = target && this.#openUpstream(target.url);
  }

  /** Begin held, with nothing in flight: a migration was under way when the gateway died. */
  closeAtStart(): void {
    if (this.#state !== GateState.open) return;
    this.#state = GateState.held;
    this.#closedAtMs = performance.now();
    void this.#upstream?.retire();
  }

  /** See `Gate.hold`. */
  async hold(options: { drainTimeoutMs: number; signal: AbortSignal }): Promise<HoldReport> {
    const { signal, drainTimeoutMs: timeoutMs } = options;
    const upstream = this.#upstream;
    if (this.#state === GateState.draining || this.#state === GateState.held) {
      const message = `the gate of ${this.#app} is ${this.#state} already`;
      const mend = 'wait for the migration that holds it';
      throw new HoldfastError('GATE_BUSY', message, { mend, retryable: true });
    }
    if (!upstream) {
      throw new HoldfastError('NO_TARGET', `it is not known where ${this.#app} runs`, {
        mend: 'see `gateway apps` for which agents answer',
      });
    }
    if (signal.aborted) throw Drain.calledOff(this.#app, signal.reason);
    const drainedRequests = this.#inFlight;
    this.#state = GateState.draining;
    this.#closedAtMs = performance.now();
    this.#settleOpening();
    const drain = new Drain(this.#app, { timeoutMs, signal, left: () => this.#left() });
    this.#drain = drain;
    if (drainedRequests === 0) drain.done();
    this.#closeUpgraded();
    try {
      await drain.settled;
      await upstream.close();
      if (this.#drain !== drain) throw Drain.calledOff(this.#app, undefined);
    } catch (error) {
      if (this.#drain === drain) void this.#open(upstream);
      throw error;
    }
    this.#drain = undefined;
    this.#state = GateState.held;
    return { drainedRequests, drainMs: performance.now() - this.#closedAtMs, passedRequests: this.#passed };
  }

  /**
   * See `Gate.release`. On an open gate it is `setTarget`; while draining it calls the hold off.
   *
   * @throws HoldfastError `GATE_BUSY` while the queue is being let go to another target.
   */
  async release(target: Target): Promise<ReleaseReport> {
    const drain = this.#drain;
    if (this.#state === GateState.releasing && target.url !== this.#target?.url) {
      const message = `the gate of ${this.#app} is being released elsewhere`;
      throw new HoldfastError('GATE_BUSY', message, { retryable: true });
    }
    if (this.#state === GateState.open || this.#state === GateState.releasing) {
      this.setTarget(target);
      return { holdMs: 0, heldRequests: this.#held.size };
    }
    this.#drain = undefined;
    drain?.callOff();
    this.#target = target;
    this.#passed = 0;
    // What a hold that is called off has in flight stays on the connections that `hold` was about to close.
    if (this.#inFlight > 0) void this.#upstream?.retire();
    return this.#open(this.#openUpstream(target.url));
  }

  /** Turn away what is held and close every connection. For the end of the process. */
  async close(): Promise<void> {
    this.#closing = true;
    for (let visit = this.#held.first; visit; visit = this.#held.first) this.#refuse(visit, Refusal.closing);
    this.#drain?.callOff();
    await Promise.all([this.#upstream?.close(), this.#replica?.close()]);
  }

  #pass(visit: Visit): void {
    if (this.#upstream) this.#send(visit, this.#upstream);
    else {
      this.#refuse(visit, Refusal.noTarget);
      this.#onMissed();
    }
  }

  #send(visit: Visit, upstream: Upstream): void {
    visit.stage = Stage.atTarget;
    this.#inFlight += 1;
    this.#passed += 1;
    visit.onSend(upstream, AnsweredBy.target);
  }

  #enqueue(visit: Visit): void {
    const refusal = this.#closing ? Refusal.closing : this.#held.admit(visit);
    if (refusal === undefined) visit.onHeld();
    else this.#refuse(visit, refusal);
  }

  #refuse(visit: Visit, refusal: Refusal): void {
    this.leave(visit);
    visit.onRefused(refusal);
  }

  /** Settles when the first held request was sent on. */
  #open(upstream: Upstream): Promise<ReleaseReport> {
    const heldRequests = this.#held.size;
    this.#drain = undefined;
    this.#upstream = upstream;
    this.#state = GateState.releasing;
    upstream.warm(Math.min(heldRequests, this.limits.releaseConcurrency));
    const report = new Promise<ReleaseReport>((resolve) => {
      this.#opening = { heldRequests, settle: (holdMs) => resolve({ holdMs, heldRequests }) };
    });
    this.#pump();
    return report;
  }

  #settleOpening(): void {
    this.#opening?.settle(performance.now() - this.#closedAtMs);
    this.#opening = undefined;
  }

  /** Let the next ones through. Opens the gate once the queue is empty and its last request is on the wire. */
  readonly #pump = (): void => {
    if (this.#state !== GateState.releasing || !this.#upstream || this.#starting) return;
    const visit = this.#held.first;
    if (!visit) {
      this.#state = GateState.open;
      this.#upstream.cool();
      this.#settleOpening();
    } else if (this.#paced < this.limits.releaseConcurrency) {
      this.#held.remove(visit);
      visit.paced = true;
      this.#paced += 1;
      this.#starting = visit;
      this.#send(visit, this.#upstream);
    }
  };

  #freePlace(visit: Visit): void {
    if (!visit.paced) return;
    visit.paced = false;
    this.#paced -= 1;
    // undici gives a connection back one immediate after its answer's end. Asking sooner would open another one.
    if (this.#state === GateState.releasing) queueMicrotask(() => afterIo(this.#pump));
  }

  /** Last, when nothing else is in flight: a hold that requests keep from succeeding costs no connection. */
  #closeUpgraded(): void {
    if (this.#upgrades === Upgrades.wait || this.#drain === undefined) return;
    if (this.#left().requests > 0) return;
    for (const visit of this.#upgraded) visit.onGoodbye();
  }

  #left(): { requests: number; upgraded: number } {
    return { requests: this.#inFlight - this.#upgraded.size, upgraded: this.#upgraded.size };
  }
}
