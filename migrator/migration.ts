import type { MigrationContext } from './context.ts';
import { Deadlines } from './deadlines.ts';
import type { Footprint } from './engine/engine.ts';
import { type ErrorBody, HoldfastError, toErrorBody } from './errors.ts';
import { fetchesOnDemand, type MigrationEvent, Outcome, Step } from './events.ts';
import { leaseMs } from './hold-budget.ts';
import { isInstanceLost, isLossOfDestination } from './loss.ts';
import { pageIn } from './page-in.ts';
import { type Planned, predictionOf } from './planner/planner.ts';
import { type Admitted, preflight } from './preflight.ts';
import { Steps, within } from './steps.ts';
import { Tally } from './tally.ts';
import { IfItFails, wayBack, wayBackFromLoss } from './undo.ts';
import { WayThere } from './way-there.ts';

/**
 * Move one app, as a saga: every step is journaled before it is made, and every step made can be undone until the
 * destination has committed. The commit is one durable write of the destination's agent: before it the instance there
 * destroys itself unless told otherwise, after it the source is only waiting to be removed.
 */
export class Migration {
  #context: MigrationContext;
  readonly #steps: Steps;
  readonly #tally = new Tally();
  #clean = true;
  #wayThere: WayThere;
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
    this.#wayThere = new WayThere(context, this.#steps, this.#tally);
    this.#releasedAt = begun.find(({ step }) => step === Step.release)?.at;
  }

  /**
   * Make the move. Settles when it has ended, with how; with undefined when the gateway is ending and the journal's
   * next reader must go on. Never rejects for a migration that failed.
   */
  async run(): Promise<Outcome | undefined> {
    let admitted: Admitted;
    try {
      admitted = await this.#preflight();
      await this.#plan(admitted.footprint);
    } catch (error) {
      return this.#end(Outcome.refused, error);
    }
    return this.#carryOut(() => this.#wayThere.go(admitted));
  }

  /** Finish or undo what a crashed gateway left behind. The gate holds the app's requests meanwhile. */
  async resume(): Promise<Outcome | undefined> {
    this.#steps.begun.add(Step.hold);
    return this.#carryOut(async () => {
      if (this.#steps.begun.has(Step.commit)) return this.#wayThere.commit();
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
    if (fetchesOnDemand(this.#context.order.strategy) && !this.#tally.allFetched) {
      try {
        this.#tally.fetched(await pageIn(this.#context, this.#steps));
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

  async #preflight(): Promise<Admitted> {
    const { order, source, destination } = this.#context;
    return this.#steps.make(
      Step.preflight,
      Deadlines.preflightMs,
      (signal) => preflight(order, source, destination, signal),
      ({ footprint: { memoryBytes, processes } }) => ({ memoryBytes, processes }),
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
    this.#wayThere = new WayThere(this.#context, this.#steps, this.#tally);
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
    this.#tally.add(report);
  }

  async #goBack(error: unknown): Promise<Outcome | undefined> {
    const { emit, limits, signal } = this.#context;
    // Pages that were lost before anybody was let through cost nothing but the move.
    const since = isLossOfDestination(error) ? this.#releasedAt : undefined;
    const leaseEndsAt = this.#wayThere.leaseEndsAt ?? performance.now() + leaseMs(limits);
    const undos =
      since === undefined
        ? wayBack(this.#steps.begun, this.#context, leaseEndsAt)
        : wayBackFromLoss(this.#context, { error: toErrorBody(error), since });
    let failure: unknown;
    for (const undo of undos) {
      await emit({ type: 'undo-started', step: undo.step });
      try {
        const report = await undo.make();
        if (report) this.#tally.add(report);
        if (undo.step === Step.freeze) this.#tally.thawed(performance.now());
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

  async #end(outcome: Outcome, error?: unknown): Promise<Outcome> {
    const { figures } = this.#tally;
    const predicted = this.#planned && predictionOf(this.#planned.plan);
    const failed: { error?: ErrorBody } = error === undefined ? {} : { error: toErrorBody(error) };
    await this.#context.emit({ type: 'ended', outcome, figures, ...(predicted && { predicted }), ...failed });
    return outcome;
  }
}
