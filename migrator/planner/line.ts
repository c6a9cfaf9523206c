/** What something takes, as a line in the quantity it grows with. */
export interface Line {
  readonly base: number;
  /** For each unit of the quantity. */
  readonly slope: number;
}

/** The quantity, and what it took. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** To fit a line, points must lie this far apart in the quantity, and be this many. */
const SPREAD = 1.5;
const ENOUGH_POINTS = 4;
/** A point at a small quantity may lie at a multiple of the line for reasons of its own. */
const MOST_STRETCH = 3;

export function at({ base, slope }: Line, x: number): number {
  return Math.max(0, base + slope * x);
}

/**
 * The line through what was seen, so that half of it may be nonsense without harm.
 *
 * Points that lie far enough apart give a line of their own: the median of the slopes between any two of them (Theil and
 * Sen), and the median of what that leaves. Others tell only how much more or less things take here than assumed: the
 * assumed line, stretched by the median of their ratios; what would stretch its slope beyond reason raises its base.
 */
export function fit(points: readonly Point[], assumed: Line): Line {
  if (points.length === 0) return assumed;
  const xs = points.map(({ x }) => x);
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  if (points.length >= ENOUGH_POINTS && most > least * SPREAD && assumed.slope > 0) {
    const slope = Math.max(0, median(slopes(points)));
    return { slope, base: Math.max(0, median(points.map(({ x, y }) => y - slope * x))) };
  }
  const factor = stretch(points, assumed);
  const slope = assumed.slope * Math.min(Math.max(factor, 1 / MOST_STRETCH), MOST_STRETCH);
  return { slope, base: Math.max(0, median(points.map(({ x, y }) => y - slope * x))) };
}

/** By how much things take more than assumed, in the median; 1 where nothing is known. */
export function stretch(points: readonly Point[], assumed: Line): number {
  const ratios = points.filter(({ x }) => at(assumed, x) > 0).map(({ x, y }) => y / at(assumed, x));
  return ratios.length === 0 ? 1 : median(ratios);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}

function slopes(points: readonly Point[]): number[] {
  return points.flatMap((one, index) =>
    points
      .slice(index + 1)
      .filter((other) => other.x !== one.x)
      .map((other) => (other.y - one.y) / (other.x - one.x)),
  );
}
