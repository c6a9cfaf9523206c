import { InvalidArgumentError } from 'commander';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000 };

/** An option's `300ms` or `1.5s`, in milliseconds. */
export function parseDurationMs(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(text) ?? [];
  const ms = Number(digits) * (UNITS_MS[unit] ?? Number.NaN);
  if (ms >= 1) return Math.round(ms);
  throw new InvalidArgumentError('Write a time as 300ms or 1.5s.');
}
