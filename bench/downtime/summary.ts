import { type Spread, spreadOf } from '../statistics.ts';
import { spreadText, table } from '../table.ts';
import { approaches } from './approaches.ts';

/** One move as the prober saw it; times in milliseconds. */
export interface Measurement {
  readonly approach: string;
  readonly link: string;
  readonly round: number;
  readonly blackoutMs: number;
  readonly p99: number;
  readonly max: number;
  readonly requests: number;
  readonly failed: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Errors that wrk met in the same time. */
  readonly wrkErrors: number;
  readonly totalMs: number;
  readonly bytesSent: number;
}

const MEASURES = [
  ...(['blackoutMs', 'failed', 'lost', 'duplicated', 'wrkErrors'] as const),
  ...(['p99', 'max', 'totalMs', 'bytesSent'] as const),
];
type Measure = (typeof MEASURES)[number];

/** `null` where there was nothing to measure. */
export type Summary = { readonly approach: string; readonly link: string } & Readonly<
  Record<Measure, Spread | null>
>;

export function summaryOf(measurements: readonly Measurement[]): Summary[] {
  const links = [...new Set(measurements.map(({ link }) => link))];
  return links.flatMap((link) =>
    approaches.flatMap(({ key }) => {
      const own = measurements.filter((one) => one.link === link && one.approach === key);
      if (own.length === 0) return [];
      const spreads = MEASURES.map((name) => [name, spreadOf(own.map((one) => one[name]))]);
      return [{ approach: key, link, ...Object.fromEntries(spreads) } as Summary];
    }),
  );
}

export function summaryTable(summaries: readonly Summary[]): string {
  const titles = new Map(approaches.map(({ key, title }) => [key, title]));
  return table(
    ['link', 'approach', ...MEASURES],
    summaries.map((one) => [
      one.link,
      titles.get(one.approach) ?? one.approach,
      ...MEASURES.map((name) => spreadText(one[name])),
    ]),
    2,
  );
}
