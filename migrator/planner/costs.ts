import { Step, Strategy } from '../events.ts';
import { fit, type Line, type Point, stretch } from './line.ts';

/** What is learnt of: each step's time in milliseconds, without the round trips in it, and the bytes sent. */
export const Cost = { ...Step, bytesSent: 'bytes-sent' } as const;
export type Cost = (typeof Cost)[keyof typeof Cost];

export type Costs = Readonly<Partial<Record<Cost, Line>>>;

/** One move that succeeded. */
export interface Experience {
  readonly app: string;
  readonly strategy: Strategy;
  readonly points: Readonly<Partial<Record<Cost, Point>>>;
}

/** Of the same kind, newest first: older ones tell of other times. */
const MOST_POINTS = 15;
/** What is computed from the link tells nothing of what another strategy sends over it, and when. */
const OWN_ONLY: ReadonlySet<Cost> = new Set([Cost.preCopy, Cost.send, Cost.pageIn, Cost.bytesSent]);
/** How far another strategy's experience may stretch what is assumed of one that was never tried here. */
const BORROWED = { least: 0.25, most: 4 };

const whole: Line = { base: 0, slope: 1 };
/** For every strategy alike; docs/planner.md tells where the figures come from. */
const always: Costs = {
  preflight: { base: 60, slope: 0 },
  plan: { base: 500, slope: 0 },
  prepare: { base: 40, slope: 0 },
  'pre-copy': { base: 10, slope: 1 },
  hold: { base: 10, slope: 0 },
  freeze: { base: 15, slope: 0 },
  commit: { base: 10, slope: 0 },
  release: { base: 5, slope: 0 },
  'bytes-sent': whole,
};
/** The quantities of dump and restore are MiB, that of send is milliseconds on the link, that of a health check 1 or 0. */
const inImages: Costs = {
  ...always,
  dump: { base: 80, slope: 1.5 },
  send: { base: 30, slope: 1 },
  restore: { base: 90, slope: 2 },
  'health-check': { base: 10, slope: 0 },
};
const onDemand: Costs = {
  ...always,
  dump: { base: 80, slope: 1.5 },
  send: { base: 20, slope: 1 },
  restore: { base: 110, slope: 2 },
  // Only where memory is at the source does an app wait for it.
  'health-check': { base: 20, slope: 480 },
  'page-in': { base: 50, slope: 1 },
};
const ASSUMED: Readonly<Record<Strategy, Costs>> = {
  [Strategy.stopAndCopy]: inImages,
  [Strategy.preCopy]: inImages,
  [Strategy.hybrid]: onDemand,
  [Strategy.postCopy]: onDemand,
};

/**
 * What each step of a strategy takes between two hosts: learnt from the moves of this app by this strategy, else from
 * those of any app; where it was never tried, what is assumed of it, stretched as far as the others' steps were.
 *
 * @param past of these two hosts, newest first; see `Experiences.between`
 */
export function costsOf(strategy: Strategy, app: string, past: readonly Experience[]): Costs {
  const assumed = ASSUMED[strategy];
  const tried = past.filter((move) => move.strategy === strategy);
  const own = tried.filter((move) => move.app === app);
  const near = own.length > 0 ? own : tried;
  const lines = Object.entries(assumed) as [Cost, Line][];
  return Object.fromEntries(
    lines.map(([cost, line]) => {
      const points = pointsOf(near, cost);
      if (points.length > 0) return [cost, fit(points, line)];
      if (OWN_ONLY.has(cost)) return [cost, line];
      const factor = Math.min(Math.max(borrowed(past, cost), BORROWED.least), BORROWED.most);
      return [cost, { base: line.base * factor, slope: line.slope * factor }];
    }),
  );
}

/** How much more or less the other strategies' step took than was assumed of theirs. */
function borrowed(past: readonly Experience[], cost: Cost): number {
  const points = past.slice(0, MOST_POINTS).flatMap(({ strategy, points: { [cost]: point } }) => {
    const line = ASSUMED[strategy][cost];
    return point === undefined || line === undefined ? [] : [{ x: 0, y: stretch([point], line) }];
  });
  return stretch(points, { base: 1, slope: 0 });
}

function pointsOf(moves: readonly Experience[], cost: Cost): Point[] {
  return moves
    .flatMap(({ points: { [cost]: point } }) => (point === undefined ? [] : [point]))
    .slice(0, MOST_POINTS);
}
