import { median, spreadOf } from '../statistics.ts';
import { table } from '../table.ts';
import { atMost, type Verdict } from '../verdict.ts';
import type { LoadCounts } from './load.ts';

const MOST_FLIP_MS = 20;

/** One hold, as the app saw it; milliseconds from the order. */
export interface Flip {
  /** To the last new request that reached the source. */
  readonly flipMs: number;
  /** Until every HAProxy had confirmed, and nothing was in flight: the app may be frozen from then on. */
  readonly heldMs: number;
  /** That still reached the source. */
  readonly requests: number;
  /** That reached it although the hold was confirmed: there must be none. */
  readonly lateRequests: number;
}

/** @param arrivalsMs at the source since before the order, in order */
export function flipOf(arrivalsMs: readonly number[], orderedAtMs: number, heldAtMs: number): Flip {
  const after = arrivalsMs.filter((atMs) => atMs > orderedAtMs);
  return {
    flipMs: (after.at(-1) ?? orderedAtMs) - orderedAtMs,
    heldMs: heldAtMs - orderedAtMs,
    requests: after.length,
    lateRequests: after.filter((atMs) => atMs > heldAtMs).length,
  };
}

export function flipTable(flips: readonly Flip[]): string {
  const row = (title: string, values: readonly number[], digits: number) => {
    const spread = spreadOf(values);
    const cells =
      spread === null ? [] : [spread.median, spread.least, percentile(values, 0.95), spread.greatest];
    return [title, ...cells.map((cell) => (cell ?? 0).toFixed(digits))];
  };
  const of = (key: keyof Flip) => flips.map((flip) => flip[key]);
  return table(
    ['', 'median', 'least', 'p95', 'greatest'],
    [
      row('ms to the last new request at the source', of('flipMs'), 1),
      row('ms until the hold was confirmed', of('heldMs'), 1),
      row('requests that still reached the source', of('requests'), 0),
    ],
  );
}

export function percentile(values: readonly number[], share: number): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)];
}

export function verdictsOn(flips: readonly Flip[], load: LoadCounts): Verdict[] {
  const measured = flips.length > 0;
  const late = flips.reduce((sum, { lateRequests }) => sum + lateRequests, 0);
  return [
    atMost(
      'ms to the last new request at the source, median',
      median(flips.map((flip) => flip.flipMs)),
      MOST_FLIP_MS,
    ),
    atMost('requests at the source after the hold was confirmed', measured ? late : null, 0),
    atMost('requests that failed', measured ? load.failed : null, 0),
  ];
}
