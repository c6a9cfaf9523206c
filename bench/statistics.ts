/** Of an even count the mean of the two in the middle; `null` of none. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2;
}

/** Between two values where it falls between them; `null` of none. @param share 0.25 for the lower quartile */
export function quantile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [lower, upper] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (lower === undefined || upper === undefined) return null;
  return lower + (upper - lower) * (at - Math.floor(at));
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/** Of those that are known; `null` when none is. */
export function spreadOf(values: readonly (number | null | undefined)[]): Spread | null {
  const known = values.filter((value) => value !== null && value !== undefined);
  const middle = median(known);
  if (middle === null) return null;
  return { median: middle, least: Math.min(...known), greatest: Math.max(...known) };
}
