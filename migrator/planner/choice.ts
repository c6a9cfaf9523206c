import { AUTO, Strategy, type StrategyOrder } from '../events.ts';
import { Objection } from '../preflight.ts';
import { milliseconds } from './model.ts';
import type { Prediction } from './prediction.ts';

/** From the least to ask of the hosts to the most: where two take about as long, the earlier one is taken. */
export const PREFERENCE: readonly Strategy[] = [
  Strategy.stopAndCopy,
  Strategy.preCopy,
  Strategy.hybrid,
  Strategy.postCopy,
];

/** What nobody notices: a hold longer than the shortest by no more than either of these. */
const UNNOTICED_SHARE = 0.1;
const UNNOTICED_MS = 20;

/**
 * Which strategy to take. What users notice is how long they are held; among those that hold them about as briefly as
 * can be, the one that asks least: stop-and-copy before pre-copy, and both before those that need both hosts after the
 * commit.
 *
 * @param predictions in the order of `PREFERENCE`
 * @throws Objection `FREEZE_TOO_LONG` when none that may be taken keeps within `maxFreezeMs`
 */
export function choose(
  predictions: readonly Prediction[],
  ordered: StrategyOrder,
  maxFreezeMs = Number.POSITIVE_INFINITY,
): { strategy: Strategy; reason: string } {
  const allowed = predictions.filter(({ strategy }) => ordered === AUTO || strategy === ordered);
  const able = allowed.filter(({ frozenMs }) => frozenMs <= maxFreezeMs);
  if (able.length === 0) throw freezeTooLong(predictions, ordered, maxFreezeMs);
  const best = briefest(able, ({ holdMs }) => holdMs);
  const taken =
    able.find(
      ({ holdMs }) => holdMs <= best.holdMs + Math.max(UNNOTICED_MS, best.holdMs * UNNOTICED_SHARE),
    ) ?? best;
  return { strategy: taken.strategy, reason: reasonOf(taken, best, predictions, ordered) };
}

function reasonOf(
  taken: Prediction,
  best: Prediction,
  predictions: readonly Prediction[],
  ordered: StrategyOrder,
): string {
  const held = `requests are held for ${milliseconds(taken.holdMs)}`;
  if (ordered !== AUTO) return `it was ordered; ${held}`;
  if (taken !== best) {
    return `${held}; ${best.strategy} would hold them for ${milliseconds(best.holdMs)}, not noticeably less, and asks more of the hosts`;
  }
  const others = predictions.filter((prediction) => prediction !== taken);
  if (others.length === 0) return held;
  const next = briefest(others, ({ holdMs }) => holdMs);
  if (next.holdMs < taken.holdMs) return `${held}; ${next.strategy} would freeze the app for too long`;
  return `${held}, ${milliseconds(next.holdMs - taken.holdMs)} less than by ${next.strategy}`;
}

function freezeTooLong(
  predictions: readonly Prediction[],
  ordered: StrategyOrder,
  maxFreezeMs: number,
): Objection {
  const best = briefest(predictions, ({ frozenMs }) => frozenMs);
  const told = `by ${best.strategy} it would be ${milliseconds(best.frozenMs)}`;
  const another = ordered !== AUTO && best.frozenMs <= maxFreezeMs;
  return new Objection(
    'FREEZE_TOO_LONG',
    `${ordered === AUTO ? 'every strategy' : ordered} would freeze the app for longer than ${milliseconds(maxFreezeMs)}; ${told}`,
    {
      mend: another
        ? `order ${best.strategy}, or leave the choice to auto`
        : `allow ${milliseconds(Math.ceil(best.frozenMs / 10) * 10)}, or move it when it writes less or over a faster link`,
    },
  );
}

function briefest(predictions: readonly Prediction[], of: (prediction: Prediction) => number): Prediction {
  const [first, ...rest] = predictions;
  if (first === undefined) throw new TypeError('there is nothing to choose from');
  return rest.reduce((best, one) => (of(one) < of(best) ? one : best), first);
}
