import { median, quantile, type Spread, spreadOf } from '../statistics.ts';
import { figure, spreadText, table } from '../table.ts';
import { atLeast, atMost, type Verdict } from '../verdict.ts';
import type { Measurement } from './measurement.ts';
import { ALONE, proxies, UNDER_HOLDFAST } from './proxies.ts';

/** HAProxy must do as well under Holdfast as alone, but for what nobody could measure. */
const LEAST_SHARE = 0.98;

interface Quartiles {
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
}

export interface Summary {
  readonly proxy: string;
  readonly title: string;
  readonly rounds: number;
  readonly requestsPerS: Spread | null;
  /** To the requests/s of HAProxy alone in the same round. */
  readonly ratio: Quartiles | null;
  readonly cpuUsPerRequest: Spread | null;
  /** To that of HAProxy alone in the same round: less noisy than requests/s. */
  readonly cpuRatio: Quartiles | null;
  readonly p50Ms: Spread | null;
  readonly p99Ms: Spread | null;
  readonly busy: Spread | null;
  readonly errors: number;
  /** Over all rounds; `null` where it is not a question. */
  readonly throughNode: number | null;
}

/** Of those that were measured, in the order in which they are. */
export function summaryOf(measurements: readonly Measurement[]): Summary[] {
  return proxies.flatMap(({ key, title }) => {
    const own = measurements.filter(({ proxy }) => proxy === key);
    if (own.length === 0) return [];
    const through = own.flatMap(({ throughNode }) => (throughNode === null ? [] : [throughNode]));
    return [
      {
        proxy: key,
        title,
        rounds: new Set(own.map(({ round }) => round)).size,
        requestsPerS: spreadOf(own.map((one) => one.requestsPerS)),
        ratio: quartilesOf(ratios(measurements, key, 'requestsPerS')),
        cpuUsPerRequest: spreadOf(own.map((one) => one.cpuUsPerRequest)),
        cpuRatio: quartilesOf(ratios(measurements, key, 'cpuUsPerRequest')),
        p50Ms: spreadOf(own.map((one) => one.p50Ms)),
        p99Ms: spreadOf(own.map((one) => one.p99Ms)),
        busy: spreadOf(own.map((one) => one.busy)),
        errors: sum(own.map((one) => one.errors)),
        throughNode: through.length === 0 ? null : sum(through),
      },
    ];
  });
}

/**
 * Of the rounds in which both were measured, there and back: what else the machine did then met both, and it does not matter
 * which of them was first.
 */
function ratios(
  measurements: readonly Measurement[],
  proxy: string,
  figure: 'requestsPerS' | 'cpuUsPerRequest',
): number[] {
  const rounds = [...new Set(measurements.map(({ round }) => round))];
  return rounds.flatMap((round) => {
    const [own, alone] = [proxy, ALONE].map((key) =>
      measurements.filter((one) => one.round === round && one.proxy === key).map((one) => one[figure]),
    ) as [number[], number[]];
    return own.length === 0 || own.length !== alone.length ? [] : [sum(own) / sum(alone)];
  });
}

function quartilesOf(values: readonly number[]): Quartiles | null {
  const [lower, middle, upper] = [0.25, 0.5, 0.75].map((share) => quantile(values, share)) as [
    number,
    number,
    number,
  ];
  return values.length === 0 ? null : { median: middle, lower, upper };
}

export function steadyTable(summaries: readonly Summary[]): string {
  return table(
    [
      '',
      'rounds',
      'requests/s',
      '/ alone',
      'CPU µs/request',
      '/ alone',
      'p50 ms',
      'p99 ms',
      'core',
      'errors',
      'through Node',
    ],
    summaries.map((one) => [
      one.title,
      figure(one.rounds),
      spreadText(one.requestsPerS),
      ratioText(one.ratio),
      spreadText(one.cpuUsPerRequest),
      ratioText(one.cpuRatio),
      fineText(one.p50Ms, 2),
      fineText(one.p99Ms, 2),
      fineText(one.busy, 2),
      figure(one.errors),
      figure(one.throughNode),
    ]),
  );
}

function ratioText(quartiles: Quartiles | null): string {
  if (quartiles === null) return '–';
  const [middle, lower, upper] = [quartiles.median, quartiles.lower, quartiles.upper].map((one) =>
    one.toFixed(3),
  );
  return lower === upper ? `${middle}` : `${middle} [${lower}–${upper}]`;
}

/** As `spreadText`, for what is about 1. */
function fineText(spread: Spread | null, digits: number): string {
  if (spread === null) return '–';
  const [middle, least, greatest] = [spread.median, spread.least, spread.greatest].map((one) =>
    one.toFixed(digits),
  );
  return least === greatest ? `${middle}` : `${middle} [${least}–${greatest}]`;
}

export function verdictsOn(measurements: readonly Measurement[]): Verdict[] {
  const under = measurements.filter(({ proxy }) => proxy === UNDER_HOLDFAST);
  const through = under.map(({ throughNode }) => throughNode ?? 0);
  return [
    atLeast(
      'requests/s of HAProxy under Holdfast / alone, median of paired rounds',
      median(ratios(measurements, UNDER_HOLDFAST, 'requestsPerS')),
      LEAST_SHARE,
    ),
    atMost('requests that came by way of Node meanwhile', under.length === 0 ? null : sum(through), 0),
    atMost(
      'errors of all proxies',
      measurements.length === 0 ? null : sum(measurements.map(({ errors }) => errors)),
      0,
    ),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, one) => total + one, 0);
}
