import type { Agent } from '../agents.ts';
import type { Footprint } from '../engine/engine.ts';
import { AUTO, fetchesOnDemand, type MigrationEvent, type Strategy, type StrategyOrder } from '../events.ts';
import { Objection } from '../preflight.ts';
import { choose, PREFERENCE } from './choice.ts';
import { Cost, costsOf } from './costs.ts';
import type { Experiences } from './experiences.ts';
import type { Point } from './line.ts';
import { predict, type Quantities, type Situation } from './model.ts';
import type { Plan } from './prediction.ts';

/** What a plan is asked for. */
export interface Wish {
  readonly app: string;
  readonly container: string;
  readonly strategy: StrategyOrder;
  /** Refuse what would freeze the app for longer. */
  readonly maxFreezeMs?: number | undefined;
  /** All of the memory is to be at the destination before the app runs on there. */
  readonly verify?: boolean | undefined;
  /** What may be sent, in bits a second. */
  readonly limitRateBps?: number | undefined;
}

/** A plan, and what it needs to learn from how it turns out. */
export interface Planned {
  readonly plan: Plan;
  /** Remember what the move took. Settles when that is kept, and never rejects. */
  learn(events: readonly MigrationEvent[]): Promise<void>;
}

const GATEWAY_ROUND_TRIPS = 3;

/** Measures what a move would meet, predicts what it costs by each strategy, and chooses. Touches nothing. */
export class Planner {
  readonly #experiences: Experiences;

  constructor(experiences: Experiences) {
    this.#experiences = experiences;
  }

  /** @throws HoldfastError `FREEZE_TOO_LONG`, `LAZY_PAGES_UNSUPPORTED`, `PROBE_FAILED`, and what the agents answer */
  async plan(
    wish: Wish,
    hosts: { readonly source: Agent; readonly destination: Agent; readonly footprint: Footprint },
    signal: AbortSignal,
  ): Promise<Planned> {
    const { source, destination, footprint } = hosts;
    const pair = { from: source.host, to: destination.host };
    const past = this.#experiences.between(pair);
    const { verify } = wish;
    const { lazyPages } = await destination.info(signal);
    if (!lazyPages && wish.strategy !== AUTO && fetchesOnDemand(wish.strategy)) {
      throw lazyPagesUnsupported(wish.strategy, destination.host);
    }
    const met = await measureSituation(wish, source, destination, footprint, signal);
    const situation = { ...met, verify };
    const modelled = PREFERENCE.map((strategy) =>
      predict(strategy, situation, costsOf(strategy, wish.app, past)),
    );
    const predictions = modelled.map(({ prediction }) => prediction);
    // CRIU may lose the pages of all when one process ends while its own are under way: that is nobody's choice but a
    // user's. While they are fetched to be verified, none can end.
    const endsNone = footprint.processes === 1 || verify === true;
    const safe = predictions.filter(
      ({ strategy }) => wish.strategy !== AUTO || (lazyPages && endsNone) || !fetchesOnDemand(strategy),
    );
    const { strategy, reason } = choose(safe, wish.strategy, wish.maxFreezeMs);
    const { link, memory } = situation;
    const measured = {
      rttMs: link.rttMs,
      rateBps: Math.round(link.rateBpms * 8000),
      memoryBytes: memory.privateBytes + situation.eagerBytes,
      dirtyBytesPerS: Math.round(memory.dirtyRateBpms * 1000),
      hotBytes: Math.round(memory.hotBytes),
      learntFrom: past.length,
    };
    const { quantities } = modelled[PREFERENCE.indexOf(strategy)] ?? { quantities: {} };
    return {
      plan: { strategy, reason, predictions, measured },
      learn: async (events) => {
        const points = pointsOf(events, quantities);
        // An app that finds all of its memory there says nothing of those that have to wait for it.
        if (verify && fetchesOnDemand(strategy)) delete points?.[Cost.healthCheck];
        if (points !== undefined) await this.#experiences.add(pair, { app: wish.app, strategy, points });
      },
    };
  }
}

function lazyPagesUnsupported(strategy: Strategy, host: string): Objection {
  return new Objection(
    'LAZY_PAGES_UNSUPPORTED',
    `${host} cannot bring memory after the restore, as ${strategy} does: its kernel or its CRIU lacks userfaultfd`,
    { mend: 'order pre-copy, or leave the choice to auto' },
  );
}

async function measureSituation(
  { container, limitRateBps }: Wish,
  source: Agent,
  destination: Agent,
  footprint: Footprint,
  signal: AbortSignal,
): Promise<Situation> {
  // One after the other: each would disturb the others' measurements.
  const gatewayRttMs = {
    source: await roundTripMs(source, signal),
    destination: await roundTripMs(destination, signal),
  };
  const { memory, link } = await source.measure(container, { to: destination.url, limitRateBps }, signal);
  const eagerBytes = Math.max(memory.sharedBytes, footprint.memoryBytes - memory.privateBytes);
  return { link, gatewayRttMs, memory, eagerBytes };
}

async function roundTripMs(agent: Agent, signal: AbortSignal): Promise<number> {
  let shortestMs = Number.POSITIVE_INFINITY;
  for (let times = 0; times < GATEWAY_ROUND_TRIPS; times++) {
    const sentAt = performance.now();
    await agent.info(signal);
    shortestMs = Math.min(shortestMs, performance.now() - sentAt);
  }
  return shortestMs;
}

/** What each step took beyond its round trips, beside the quantity it grows with; undefined of a move that failed. */
function pointsOf(
  events: readonly MigrationEvent[],
  quantities: Quantities,
): Partial<Record<Cost, Point>> | undefined {
  const ended = events.findLast((event) => event.type === 'ended');
  if (ended?.outcome !== 'succeeded') return undefined;
  const points: Partial<Record<Cost, Point>> = {};
  const learn = (cost: Cost, actual: number) => {
    const quantity = quantities[cost];
    if (quantity) points[cost] = { x: quantity.x, y: Math.max(0, actual - quantity.roundTripsMs) };
  };
  for (const event of events) {
    if (event.type === 'step-finished') learn(event.step, event.durationMs);
  }
  if (ended.figures.bytesSent !== undefined) learn(Cost.bytesSent, ended.figures.bytesSent);
  return points;
}

/** The prediction for the strategy that was taken. */
export function predictionOf(plan: Plan, strategy: Strategy = plan.strategy) {
  return plan.predictions.find((prediction) => prediction.strategy === strategy);
}
