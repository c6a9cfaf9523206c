import { fetchesOnDemand, Step, type Strategy, sendsAhead } from '../events.ts';
import { EAGER_BYTES, isSoonOver } from '../memory/later.ts';
import { RoundVerdict } from '../memory/round-policy.ts';
import type { MemorySurvey } from '../memory/survey.ts';
import { Patience } from '../transfer/encoding-choice.ts';
import type { MeasuredLink } from '../transfer/probe.ts';
import { Cost, type Costs } from './costs.ts';
import { at } from './line.ts';
import type { Prediction } from './prediction.ts';
import { type Ahead, distinctBytes, playRounds, Wire } from './work.ts';

/** All that a prediction rests on, but for the costs learnt. */
export interface Situation {
  /** Between the agents. */
  readonly link: MeasuredLink;
  /** From the gateway to each agent and back. */
  readonly gatewayRttMs: { readonly source: number; readonly destination: number };
  readonly memory: MemorySurvey;
  /** What is not private memory and travels during the freeze, whatever the strategy: shared memory, files on tmpfs. */
  readonly eagerBytes: number;
  /** All of the memory is to be at the destination before the app runs on there, to be compared. */
  readonly verify?: boolean | undefined;
}

/** Of a step, or of the bytes: the quantity it grows with, and the round trips in it, which are known and not learnt. */
export interface Quantity {
  readonly x: number;
  readonly roundTripsMs: number;
}
export type Quantities = Readonly<Partial<Record<Cost, Quantity>>>;

export interface Modelled {
  readonly prediction: Prediction;
  readonly quantities: Quantities;
}

/** CRIU's images without the pages, and what the frames add. */
const METADATA_BYTES = 256 * 1024;
/** Pages an app touches one after the other before it answers, each a round trip when it is not there yet. */
const FAULTS_TO_ANSWER = 20;
/** CRIU only looks through the page tables of memory that it leaves in place: a share of what writing it would take. */
const LEFT_IN_PLACE = 1 / 16;
const MIB = 1024 * 1024;

const BEFORE_HOLD: readonly Step[] = [Step.preflight, Step.plan, Step.prepare, Step.preCopy];
const FROZEN: readonly Step[] = [Step.freeze, Step.dump, Step.send, Step.restore];
const BEHIND: readonly Step[] = [Step.healthCheck, Step.commit];
const ON_DEMAND: readonly Step[] = [Step.pageIn];

/** What a move will cost by one strategy. docs/planner.md has the formulas. */
export function predict(strategy: Strategy, situation: Situation, costs: Costs): Modelled {
  const { memory, link, eagerBytes, gatewayRttMs, verify = false } = situation;
  const lazy = fetchesOnDemand(strategy);
  const wire = new Wire(link, memory);
  const wireAhead = new Wire(link, memory, Patience.ahead);
  const ahead = sendsAhead(strategy) ? playRounds(memory, wireAhead) : undefined;
  const leftBytes = ahead?.leftBytes ?? distinctBytes(memory);
  const dump = {
    x: (eagerBytes + memory.privateBytes * LEFT_IN_PLACE) / MIB,
    roundTripsMs: gatewayRttMs.source,
  };
  const dumpMs = takes(costs, Cost.dump, dump);
  const unreadBytes = Math.max(0, memory.privateBytes - dumpMs * memory.readRateBpms);
  // See `chooseLater`: what was sent ahead and holds follows from the destination itself.
  const stays = lazy && !(ahead && isSoonOver(leftBytes, unreadBytes, wireAhead.rateBpms));
  const frozenBytes = METADATA_BYTES + eagerBytes + (stays ? 0 : leftBytes);
  const sentBytes =
    METADATA_BYTES + wire.bytes(eagerBytes + leftBytes) + wireAhead.bytes(ahead?.newBytes ?? 0);
  const privateMib = memory.privateBytes / MIB;
  const eagerMib = eagerBytes / MIB;
  const firstBytes = stays ? EAGER_BYTES.source : EAGER_BYTES.store + leftBytes;
  const restoredMib = lazy ? Math.min(privateMib, ahead ? firstBytes / MIB : 0) : privateMib;
  const faultsMs = stays && !verify ? FAULTS_TO_ANSWER * faultShare(leftBytes, memory) * link.rttMs : 0;
  // Frozen memory is compared with what was sent ahead, and what differs is sent, while CRIU is at work too.
  const besideDumpMs = ahead && !stays ? dumpMs : 0;
  const readMs = ahead && !stays ? memory.privateBytes / memory.readRateBpms : 0;
  const sendMs = Math.max(0, Math.max(wire.ms(frozenBytes), readMs) - besideDumpMs);
  const quantities: Quantities = {
    preflight: { x: 0, roundTripsMs: gatewayRttMs.source + gatewayRttMs.destination },
    plan: { x: 0, roundTripsMs: 0 },
    prepare: { x: 0, roundTripsMs: gatewayRttMs.source + gatewayRttMs.destination + 3 * link.rttMs },
    ...(ahead && { 'pre-copy': { x: ahead.durationMs, roundTripsMs: gatewayRttMs.source + link.rttMs } }),
    hold: { x: 0, roundTripsMs: 0 },
    freeze: { x: 0, roundTripsMs: gatewayRttMs.source },
    dump,
    send: { x: sendMs, roundTripsMs: gatewayRttMs.source + link.rttMs },
    restore: { x: eagerMib + restoredMib, roundTripsMs: gatewayRttMs.destination },
    'health-check': { x: stays ? 1 : 0, roundTripsMs: gatewayRttMs.destination + faultsMs },
    commit: { x: 0, roundTripsMs: gatewayRttMs.destination },
    release: { x: 0, roundTripsMs: 0 },
    ...(lazy && {
      'page-in': { x: stays ? wire.ms(leftBytes) : privateMib, roundTripsMs: gatewayRttMs.destination },
    }),
    'bytes-sent': { x: sentBytes, roundTripsMs: 0 },
  };
  const sum = (steps: readonly Step[]) =>
    steps.reduce((total, step) => total + takes(costs, step, quantities[step]), 0);
  const pageInMs = sum(ON_DEMAND);
  const frozenMs = sum(FROZEN) + (verify ? pageInMs : 0);
  const heldMs = sum([Step.hold]) + frozenMs + sum(BEHIND);
  const bothHostsMs = stays && !verify ? pageInMs : 0;
  const prediction = {
    strategy,
    frozenMs,
    holdMs: heldMs + sum([Step.release]),
    totalMs: sum(BEFORE_HOLD) + heldMs,
    bytesSent: Math.round(takes(costs, Cost.bytesSent, quantities['bytes-sent'])),
    rounds: ahead?.rounds.length ?? 0,
    bothHostsMs,
    remark: remarkOf(ahead, { bothHostsMs, verifyMs: lazy && verify ? pageInMs : 0 }),
  };
  return { prediction, quantities };
}

function takes(costs: Costs, cost: Cost, quantity: Quantity | undefined): number {
  const line = costs[cost];
  return quantity === undefined || line === undefined ? 0 : at(line, quantity.x) + quantity.roundTripsMs;
}

/** How likely a page is not there yet when the app touches it. */
function faultShare(leftBytes: number, memory: MemorySurvey): number {
  return Math.min(1, leftBytes / Math.max(1, distinctBytes(memory)));
}

function remarkOf(
  ahead: Ahead | undefined,
  { bothHostsMs, verifyMs }: { bothHostsMs: number; verifyMs: number },
): string {
  const remarks: string[] = [];
  if (!ahead && bothHostsMs + verifyMs === 0) remarks.push('freeze grows with memory');
  if (ahead?.verdict === RoundVerdict.notConverging) {
    remarks.push(`written faster than rounds go, ${mebibytes(ahead.leftBytes)} left`);
  } else if (ahead) remarks.push(`${mebibytes(ahead.leftBytes)} left at the freeze`);
  if (verifyMs > 0) remarks.push(`frozen for ${milliseconds(verifyMs)} more, to be verified`);
  if (bothHostsMs > 0) remarks.push(`needs both hosts for ${milliseconds(bothHostsMs)} more`);
  return remarks.join('; ');
}

export function milliseconds(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
