import { anySignal } from './any-signal.ts';
import type { MigrationContext } from './context.ts';
import { Deadlines, FOR_AS_LONG_AS_IT_TAKES, insist } from './deadlines.ts';
import { DumpMemory } from './engine/engine.ts';
import { fetchesOnDemand, Step, sendsAhead } from './events.ts';
import { holdBudgetMs, leaseMs } from './hold-budget.ts';
import { pageInFrozen } from './page-in.ts';
import type { Steps } from './steps.ts';
import type { Tally } from './tally.ts';
import { verifyMemory } from './verification.ts';

/** The steps of a migration that carry the app over, from the first that touches anything to the commit. */
export class WayThere {
  readonly #context: MigrationContext;
  readonly #steps: Steps;
  readonly #tally: Tally;
  #leaseEndsAt: number | undefined;

  /** @param context its strategy is settled */
  constructor(context: MigrationContext, steps: Steps, tally: Tally) {
    this.#context = context;
    this.#steps = steps;
    this.#tally = tally;
  }

  /** By then the lease of what is at the destination has run out. Unknown until the gate was closed, and after a crash. */
  get leaseEndsAt(): number | undefined {
    return this.#leaseEndsAt;
  }

  /** Settles with the commit; when it rejects there was none. */
  async go({ brings }: { brings: boolean }): Promise<void> {
    await this.#prepare();
    if (brings) await this.#bring(Step.bring);
    await this.#ahead(brings);
    if (brings) await this.#standBy();
    const budget = await this.#hold();
    await this.#freeze(budget);
    await this.#transfer(budget, brings);
    if (this.#context.order.verify) await this.#restoreVerified(budget);
    else await this.#restore(budget);
    await this.#healthCheck(budget);
    await this.commit();
  }

  /**
   * An agent that does not answer may have committed or not, so only its word, or its refusal, ends this step: going
   * back on silence could leave two live copies.
   */
  async commit(): Promise<void> {
    const { order, destination, placements, signal } = this.#context;
    await this.#steps.make(Step.commit, FOR_AS_LONG_AS_IT_TAKES, async () => {
      await insist((within) => destination.commit(order.id, within), {
        attemptMs: Deadlines.commitMs,
        withinMs: FOR_AS_LONG_AS_IT_TAKES,
        signal,
      });
      await placements.moved(order.app, order.to);
    });
    this.#tally.committed();
  }

  async #prepare(): Promise<void> {
    const { order, source, destination, limits } = this.#context;
    await this.#steps.make(Step.prepare, Deadlines.prepareMs, async (signal) => {
      const { container } = order;
      const pages = fetchesOnDemand(order.strategy) ? { pagesFrom: source.url } : {};
      await destination.prepare(order.id, { container, leaseMs: leaseMs(limits), ...pages }, signal);
      const { limitRateBps } = order;
      await source.connect(order.id, { container, to: destination.url, limitRateBps }, signal);
    });
  }

  /**
   * Memory goes last, and what was written to files meanwhile beside it: what has changed since has to go over in the
   * freeze.
   */
  async #ahead(brings: boolean): Promise<void> {
    if (!sendsAhead(this.#context.order.strategy)) return;
    const stop = new AbortController();
    const works = [
      this.#preCopy(stop.signal),
      ...(brings ? [this.#bring(Step.bringAgain, stop.signal)] : []),
    ];
    for (const work of works) work.catch((error: unknown) => stop.abort(error));
    // The way back begins when nothing is under way any more.
    await Promise.allSettled(works);
    stop.signal.throwIfAborted();
  }

  async #preCopy(stop: AbortSignal): Promise<void> {
    const { order, source } = this.#context;
    await this.#steps.make(
      Step.preCopy,
      Deadlines.preCopyMs,
      (signal) => source.preCopy(order.id, anySignal([signal, stop])),
      ({ rounds, pageBytes, bytesSent }) => ({ rounds, pageBytes, bytesSent }),
    );
  }

  async #bring(step: Step, stop?: AbortSignal): Promise<void> {
    const { order, source } = this.#context;
    const carried = await this.#steps.make(
      step,
      Deadlines.bringMs,
      (signal) => source.bring(order.id, stop ? anySignal([signal, stop]) : signal),
      ({ layerBytes, fileBytes }) => ({ layerBytes, fileBytes }),
    );
    this.#tally.carried(carried);
  }

  /** The source first: the lease of what stands by is not to run while files are sent. */
  async #standBy(): Promise<void> {
    const { order, source, destination } = this.#context;
    const carried = await this.#steps.make(
      Step.standBy,
      Deadlines.standByMs,
      async (signal) => {
        const carried = await source.getReady(order.id, signal);
        await destination.standBy(order.id, signal);
        return carried;
      },
      ({ fileBytes }) => ({ fileBytes }),
    );
    this.#tally.carried(carried);
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
      this.#tally.frozen((await source.freeze(order.id, anySignal([signal, budget]))).frozenAt);
    });
  }

  async #transfer(budget: AbortSignal, brings: boolean): Promise<void> {
    const { order, source } = this.#context;
    const memory = fetchesOnDemand(order.strategy) ? DumpMemory.leftInPlace : DumpMemory.inImages;
    await this.#steps.make(Step.dump, Deadlines.dumpMs, (signal) =>
      source.dump(order.id, memory, anySignal([signal, budget])),
    );
    const { bytesSent, imageBytes, ...rest } = await this.#steps.make(
      Step.send,
      Deadlines.sendMs,
      (signal) => source.send(order.id, anySignal([signal, budget])),
      ({ layerBytes, fileBytes, lastPassMs, ...reply }) =>
        brings ? { ...reply, layerBytes, fileBytes, lastPassMs } : reply,
    );
    this.#tally.add({ bytesSent, imageBytes });
    if (brings) this.#tally.carried(rest);
  }

  async #restore(budget: AbortSignal): Promise<void> {
    const { order, destination } = this.#context;
    await this.#steps.make(Step.restore, Deadlines.restoreMs, async (signal) => {
      this.#tally.thawed((await destination.restore(order.id, anySignal([signal, budget]))).runningAt);
    });
  }

  /** The app runs on only when all of its memory has been compared. */
  async #restoreVerified(budget: AbortSignal): Promise<void> {
    const { order, source, destination } = this.#context;
    await this.#steps.make(Step.restore, Deadlines.restoreMs, (signal) =>
      destination.restoreFrozen(order.id, anySignal([signal, budget])),
    );
    if (fetchesOnDemand(order.strategy)) {
      this.#tally.fetched(await pageInFrozen(this.#context, this.#steps, budget));
    }
    const { verifiedBytes } = await this.#steps.make(
      Step.verify,
      Deadlines.verifyMs,
      async (signal) => {
        const soon = anySignal([signal, budget]);
        const verified = await verifyMemory(order, source, destination, soon);
        this.#tally.thawed((await destination.resume(order.id, soon)).runningAt);
        return verified;
      },
      ({ processes, verifiedBytes }) => ({ processes, verifiedBytes }),
    );
    this.#tally.add({ verifiedBytes });
  }

  async #healthCheck(budget: AbortSignal): Promise<void> {
    const { order, destination } = this.#context;
    await this.#steps.make(Step.healthCheck, Deadlines.healthCheckMs, (signal) =>
      destination.health(order.id, anySignal([signal, budget])),
    );
  }
}
