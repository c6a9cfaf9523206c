import { anySignal } from './any-signal.ts';
import type { MigrationContext } from './context.ts';
import { Deadlines, FOR_AS_LONG_AS_IT_TAKES, insist } from './deadlines.ts';
import { DumpMemory, type Footprint } from './engine/engine.ts';
import { type ErrorBody, HoldfastError, toErrorBody } from './errors.ts';
import { type Figures, fetchesOnDemand, type MigrationEvent, Outcome, Step, sendsAhead } from './events.ts';
import { holdBudgetMs, leaseMs } from './hold-budget.ts';
import { isInstanceLost, isLossOfDestination } from './loss.ts';
import { pageIn, pageInFrozen, withPageIn } from './page-in.ts';
import { type Planned, predictionOf } from './planner/planner.ts';
import type { Prediction } from './planner/prediction.ts';
import { preflight } from './preflight.ts';
import { Steps, within } from './steps.ts';
import { IfItFails, wayBack, wayBackFromLoss } from './undo.ts';
import { verifyMemory } from './verification.ts';

/**
 * Move one app, as a saga: every step is journaled before it is made, and every step made can be undone until the
 * destination has committed. The commit is one durable write of the destination's agent: before it the instance there
 * destroys itself unless told otherwise, after it the source is only waiting to be removed.
 */
export class Migration {
  #context: MigrationContext;
  readonly #orderedAt = performance.now();
  readonly #steps: Steps;
  #clean = true;
  /** By then the lease of what is at the destination has run out. Unknown after a crash, until it is asked for. */
  #leaseEndsAt: number | undefined;
  #frozenAt: number | undefined;
  #figures: Omit<Figures, 'totalMs'> = {};
  #totalMs: number | undefined;
  #planned: Planned | undefined;
  /** When users were first let through to the destination. Wall clock, ISO 8601. */
  #releasedAt: string | undefined;

  /** @param journaled what the journal has of it, when a crashed migration is taken up again */
  constructor(context: MigrationContext, journaled: readonly MigrationEvent[] = []) {
    const begun = journaled.filter((event) => event.type === 'step-started');
    this.#context = context;
    this.#steps = new Steps(
      context,
      begun.map(({ step }) => step),
    );
    this.#releasedAt = begun.find(({ step }) => step === Step.release)?.at;
  }

  /**
   * Make the move. Settles when it has ended, with how; with undefined when the gateway is ending and the journal's
   * next reader must go on. Never rejects for a migration that failed.
   */
  async run(): Promise<Outcome | undefined> {
    try {
      await this.#plan(await this.#preflight());
    } catch (error) {
      return this.#end(Outcome.refused, error);
    }
    return this.#carryOut(async () => {
      await this.#prepare();
      await this.#preCopy();
      const budget = await this.#hold();
      await this.#freeze(budget);
      await this.#transfer(budget);
      await this.#restore(budget);
      await this.#commit();
    });
  }

  /** Finish or undo what a crashed gateway left behind. The gate holds the app's requests meanwhile. */
  async resume(): Promise<Outcome | undefined> {
    this.#steps.begun.add(Step.hold);
    return this.#carryOut(async () => {
      if (this.#steps.begun.has(Step.commit)) return this.#commit();
      throw new HoldfastError(
        'GATEWAY_RESTARTED',
        'the gateway was restarted in the middle of the migration',
        {
          mend: 'order the migration again',
          retryable: true,
        },
      );
    });
  }

  /** False when something was left on a host that `cleanUp` must still take away. */
  get clean(): boolean {
    return this.#clean;
  }

  /** Let the planner learn from how this migration went. */
  async learn(events: readonly MigrationEvent[]): Promise<void> {
    await this.#planned?.learn(events);
  }

  /** Try once more to leave nothing behind. @throws when a host does not answer */
  async cleanUp(outcome: Outcome): Promise<void> {
    const { order, source, destination, signal } = this.#context;
    const soon = within(signal, Deadlines.cleanupMs);
    if (outcome === Outcome.succeeded) await source.finish(order.id, soon);
    if (outcome === Outcome.rolledBack || outcome === Outcome.setBack) {
      await Promise.all([destination.discard(order.id, soon), source.thaw(order.id, soon)]);
    }
    if (outcome === Outcome.lost) await destination.discard(order.id, soon);
  }

  async #carryOut(forward: () => Promise<void>): Promise<Outcome | undefined> {
    try {
      await forward();
    } catch (error) {
      return this.#goBack(error);
    }
    await this.#release();
    // Of a move that was verified all pages were there before the commit. After a crash only the destination knows.
    if (fetchesOnDemand(this.#context.order.strategy) && this.#figures.pageInMs === undefined) {
      try {
        this.#figures = withPageIn(this.#figures, await pageIn(this.#context, this.#steps));
      } catch (error) {
        if (isLossOfDestination(error)) return this.#goBack(error);
        return this.#context.signal.aborted ? undefined : this.#end(Outcome.failed, error);
      }
    }
    try {
      await this.#steps.make(Step.cleanup, Deadlines.cleanupMs, () => this.cleanUp(Outcome.succeeded));
    } catch {
      this.#clean = false;
    }
    return this.#end(Outcome.succeeded);
  }

  async #preflight(): Promise<Footprint> {
    const { order, source, destination } = this.#context;
    return this.#steps.make(
      Step.preflight,
      Deadlines.preflightMs,
      (signal) => preflight(order, source, destination, signal),
      ({ memoryBytes, processes }) => ({ memoryBytes, processes }),
    );
  }

  /** Foresee what the move will cost, and settle on a strategy. */
  async #plan(footprint: Footprint): Promise<void> {
    const { order, source, destination, planner, emit } = this.#context;
    this.#planned = await this.#steps.make(Step.plan, Deadlines.planMs, (signal) =>
      planner.plan(order, { source, destination, footprint }, signal),
    );
    const { plan } = this.#planned;
    await emit({ type: 'planned', ...plan });
    this.#context = { ...this.#context, order: { ...order, strategy: plan.strategy } };
  }

  async #prepare(): Promise<void> {
    const { order, source, destination, limits } = this.#context;
    await this.#steps.make(Step.prepare, Deadlines.prepareMs, async (signal) => {
      const { container } = order;
      const pages = fetchesOnDemand(order.strategy) ? { pagesFrom: source.url } : {};
      await destination.prepare(order.id, { container, leaseMs: leaseMs(limits), ...pages }, signal);
      await source.connect(order.id, { container, to: destination.url }, signal);
    });
  }

  async #preCopy(): Promise<void> {
    const { order, source } = this.#context;
    if (!sendsAhead(order.strategy)) return;
    await this.#steps.make(
      Step.preCopy,
      Deadlines.preCopyMs,
      (signal) => source.preCopy(order.id, signal),
      ({ rounds, pageBytes, bytesSent }) => ({ rounds, pageBytes, bytesSent }),
    );
  }

  /** @returns fires when the hold has lasted so long that there is just time for the way back */
  async #hold(): Promise<AbortSignal> {
    const { order, gate, limits, signal } = this.#context;
    this.#leaseEndsAt = performance.now() + leaseMs(limits);
    const budget = AbortSignal.timeout(holdBudgetMs(limits));
    const { drainTimeoutMs } = limits;
    try {
      await this.#steps.make(
        Step.hold,
        limits.maxHoldMs,
        () => gate.hold(order.app, { drainTimeoutMs, signal: anySignal([signal, budget]) }),
        ({ drainedRequests, drainMs }) => ({ drainedRequests, drainMs }),
      );
    } catch (error) {
      // A gate that could not be closed has opened itself again.
      this.#steps.begun.delete(Step.hold);
      throw error;
    }
    return budget;
  }

  async #freeze(budget: AbortSignal): Promise<void> {
    const { order, source } = this.#context;
    await this.#steps.make(Step.freeze, Deadlines.freezeMs, async (signal) => {
      this.#frozenAt = (await source.freeze(order.id, anySignal([signal, budget]))).frozenAt;
    });
  }

  async #transfer(budget: AbortSignal): Promise<void> {
    const { order, source } = this.#context;
    const memory = fetchesOnDemand(order.strategy) ? DumpMemory.leftInPlace : DumpMemory.inImages;
    await this.#steps.make(Step.dump, Deadlines.dumpMs, (signal) =>
      source.dump(order.id, memory, anySignal([signal, budget])),
    );
    const { bytesSent, imageBytes } = await this.#steps.make(
      Step.send,
      Deadlines.sendMs,
      (signal) => source.send(order.id, anySignal([signal, budget])),
      (reply) => ({ bytesSent: reply.bytesSent, imageBytes: reply.imageBytes }),
    );
    this.#figures = { ...this.#figures, bytesSent, imageBytes };
  }

  async #restore(budget: AbortSignal): Promise<void> {
    const { order, destination } = this.#context;
    await this.#steps.make(Step.restore, Deadlines.restoreMs, async (signal) => {
      const soon = anySignal([signal, budget]);
      if (order.verify) return destination.restoreFrozen(order.id, soon);
      this.#thawedAt((await destination.restore(order.id, soon)).runningAt);
    });
    if (order.verify) {
      if (fetchesOnDemand(order.strategy)) {
        this.#figures = withPageIn(this.#figures, await pageInFrozen(this.#context, this.#steps, budget));
      }
      await this.#verify(budget);
    }
    await this.#steps.make(Step.healthCheck, Deadlines.healthCheckMs, (signal) =>
      destination.health(order.id, anySignal([signal, budget])),
    );
  }

  async #verify(budget: AbortSignal): Promise<void> {
    const { order, source, destination } = this.#context;
    const { verifiedBytes } = await this.#steps.make(
      Step.verify,
      Deadlines.verifyMs,
      async (signal) => {
        const soon = anySignal([signal, budget]);
        const verified = await verifyMemory(order, source, destination, soon);
        this.#thawedAt((await destination.resume(order.id, soon)).runningAt);
        return verified;
      },
      ({ processes, verifiedBytes }) => ({ processes, verifiedBytes }),
    );
    this.#figures = { ...this.#figures, verifiedBytes };
  }

  /**
   * An agent that does not answer may have committed or not, so only its word, or its refusal, ends this step: going
   * back on silence could leave two live copies.
   */
  async #commit(): Promise<void> {
    const { order, destination, placements, signal } = this.#context;
    await this.#steps.make(Step.commit, FOR_AS_LONG_AS_IT_TAKES, async () => {
      await insist((within) => destination.commit(order.id, within), {
        attemptMs: Deadlines.commitMs,
        withinMs: FOR_AS_LONG_AS_IT_TAKES,
        signal,
      });
      await placements.moved(order.app, order.to);
    });
    this.#totalMs = this.#elapsedMs();
  }

  async #release(): Promise<void> {
    const { order, gate, placements } = this.#context;
    this.#releasedAt ??= new Date().toISOString();
    const report = await this.#steps.make(
      Step.release,
      Deadlines.undoMs,
      () => gate.release(order.app, placements.targetAt(order.app, order.to)),
      ({ holdMs, heldRequests }) => ({ holdMs, heldRequests }),
    );
    this.#figures = { ...this.#figures, ...report };
  }

  async #goBack(error: unknown): Promise<Outcome | undefined> {
    const { emit, limits, signal } = this.#context;
    // Pages that were lost before anybody was let through cost nothing but the move.
    const since = isLossOfDestination(error) ? this.#releasedAt : undefined;
    const leaseEndsAt = this.#leaseEndsAt ?? performance.now() + leaseMs(limits);
    const undos =
      since === undefined
        ? wayBack(this.#steps.begun, this.#context, leaseEndsAt)
        : wayBackFromLoss(this.#context, { error: toErrorBody(error), since });
    let failure: unknown;
    for (const undo of undos) {
      await emit({ type: 'undo-started', step: undo.step });
      try {
        const report = await undo.make();
        if (report) this.#figures = { ...this.#figures, ...report };
        if (undo.step === Step.freeze) this.#thawedAt(performance.now());
        await emit({ type: 'undo-finished', step: undo.step });
      } catch (undoError) {
        // A gateway that is ending leaves the rest to its successor, which finds all this in the journal.
        if (signal.aborted) return undefined;
        if (undo.ifItFails === IfItFails.stop) return this.#end(Outcome.failed, undoError);
        if (undo.ifItFails === IfItFails.goOn) failure ??= undoError;
        else this.#clean = false;
      }
    }
    if (failure === undefined)
      return this.#end(since === undefined ? Outcome.rolledBack : Outcome.setBack, error);
    return this.#end(isInstanceLost(failure) ? Outcome.lost : Outcome.failed, failure);
  }

  #thawedAt(at: number): void {
    if (this.#frozenAt !== undefined) this.#figures = { ...this.#figures, frozenMs: at - this.#frozenAt };
  }

  async #end(outcome: Outcome, error?: unknown): Promise<Outcome> {
    const figures = { ...this.#figures, totalMs: this.#totalMs ?? this.#elapsedMs() };
    const predicted = this.#prediction();
    const failed: { error?: ErrorBody } = error === undefined ? {} : { error: toErrorBody(error) };
    await this.#context.emit({ type: 'ended', outcome, figures, ...(predicted && { predicted }), ...failed });
    return outcome;
  }

  #prediction(): Prediction | undefined {
    return this.#planned && predictionOf(this.#planned.plan);
  }

  #elapsedMs(): number {
    return performance.now() - this.#orderedAt;
  }
}
