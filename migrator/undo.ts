import { setTimeout as sleep } from 'node:timers/promises';
import { anySignal } from './any-signal.ts';
import type { MigrationContext } from './context.ts';
import { Deadlines, FOR_AS_LONG_AS_IT_TAKES, insist } from './deadlines.ts';
import { type ErrorBody, HoldfastError } from './errors.ts';
import { Step } from './events.ts';
import type { ReleaseReport } from './gate.ts';
import { holdBudgetMs } from './hold-budget.ts';

export const IfItFails = {
  /** What comes after it would be unsafe. */
  stop: 'stop',
  /** What comes after it is still the best that can be done. */
  goOn: 'go-on',
  /** It can be made up for later. */
  later: 'later',
} as const;
export type IfItFails = (typeof IfItFails)[keyof typeof IfItFails];

export interface Undo {
  readonly step: Step;
  readonly ifItFails: IfItFails;
  make(): Promise<ReleaseReport | undefined>;
}

/**
 * The way back from a migration that did not reach its commit, for the steps that were begun, last one first.
 *
 * The order is what keeps a second copy from running: the instance at the destination is gone before the source thaws,
 * and the source has thawed before the gate opens.
 */
export function wayBack(begun: ReadonlySet<Step>, context: MigrationContext, leaseEndsAt: number): Undo[] {
  const undos: Undo[] = [
    { step: Step.restore, ifItFails: IfItFails.stop, make: () => fence(context, leaseEndsAt) },
    { step: Step.freeze, ifItFails: IfItFails.goOn, make: () => thaw(context) },
    { step: Step.hold, ifItFails: IfItFails.goOn, make: () => reopen(context) },
    { step: Step.prepare, ifItFails: IfItFails.later, make: () => unprepare(context) },
  ];
  return undos.filter((undo) => begun.has(undo.step));
}

/**
 * The way back from a migration whose instance at the destination is gone, by its agent's word, for want of pages that only
 * the source had. Users were served by it since `lost.since`: what it did from then on goes with it, and the app goes
 * on at the source from its state at the freeze.
 */
export function wayBackFromLoss(
  context: MigrationContext,
  lost: { readonly error: ErrorBody; readonly since: string },
): Undo[] {
  const within = { withinMs: holdBudgetMs(context.limits) };
  return [
    { step: Step.release, ifItFails: IfItFails.goOn, make: () => close(context, lost) },
    { step: Step.freeze, ifItFails: IfItFails.later, make: () => thaw(context, within) },
    { step: Step.hold, ifItFails: IfItFails.goOn, make: () => reopen(context) },
    // By now nobody is kept waiting any more for a source that is away; the app still is.
    { step: Step.freeze, ifItFails: IfItFails.goOn, make: () => thaw(context) },
    { step: Step.prepare, ifItFails: IfItFails.later, make: () => unprepare(context) },
  ];
}

/** From the end of its lease until an instance is gone for sure. */
const DESTROYED_MS = 1_000;

/**
 * Make sure that no instance runs at the destination: by its agent's word, or, when that does not answer, by waiting
 * until the lease it was given has run out.
 *
 * @param leaseEndsAt by this process's `performance.now()`
 */
async function fence(
  { order, destination, signal }: MigrationContext,
  leaseEndsAt: number,
): Promise<undefined> {
  const goneAt = Math.max(leaseEndsAt, performance.now()) + DESTROYED_MS;
  const leftMs = goneAt - performance.now();
  try {
    await insist((within) => destination.discard(order.id, within), {
      attemptMs: Math.min(Deadlines.undoMs, Math.ceil(leftMs)),
      withinMs: leftMs,
      signal,
    });
  } catch (error) {
    if (!(error instanceof HoldfastError && error.retryable)) throw error;
    await sleep(Math.max(0, goneAt - performance.now()), undefined, { signal });
  }
}

async function thaw(
  { order, source, signal }: MigrationContext,
  { withinMs } = { withinMs: FOR_AS_LONG_AS_IT_TAKES },
): Promise<undefined> {
  await insist((within) => source.thaw(order.id, within), {
    attemptMs: Deadlines.undoMs,
    withinMs,
    signal,
  });
}

async function reopen({ order, gate, placements }: MigrationContext): Promise<ReleaseReport> {
  const { app, from, to } = order;
  // Where the source is gone for good there is nothing to wait for: requests fail at once, wherever they are sent.
  if (!placements.isHost(from)) return gate.release(app, placements.targetAt(app, to));
  const report = await gate.release(app, placements.targetAt(app, from));
  if (placements.hostOf(app) !== from) await placements.moved(app, from);
  return report;
}

/** Requests wait again, rather than fail, until the app is back; and it is written down what has become of those before. */
async function close(
  { order, gate, limits, emit, signal }: MigrationContext,
  lost: { readonly error: ErrorBody; readonly since: string },
): Promise<undefined> {
  const { drainTimeoutMs } = limits;
  // A gate that cannot be closed, because it is already or because something hangs, is released all the same.
  const held = await gate.hold(order.app, { drainTimeoutMs, signal }).catch(() => undefined);
  await emit({ type: 'pages-lost', ...lost, requests: held?.passedRequests ?? 0 });
}

/** A source that was never frozen still has its link and its workspace. */
async function unprepare({ order, source, destination, signal }: MigrationContext): Promise<undefined> {
  const soon = anySignal([signal, AbortSignal.timeout(Deadlines.undoMs)]);
  await Promise.all([destination.discard(order.id, soon), source.thaw(order.id, soon)]);
}
