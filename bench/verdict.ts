export const Finding = { met: 'met', notMet: 'NOT MET', notMeasured: 'not measured' } as const;
export type Finding = (typeof Finding)[keyof typeof Finding];

/** One thing the product promises, and what came of it. */
export interface Verdict {
  readonly promise: string;
  readonly value: number | null;
  readonly finding: Finding;
}

export function atMost(what: string, value: number | null, limit: number): Verdict {
  return verdict(`${what} ≤ ${limit}`, value, value !== null && value <= limit);
}

export function atLeast(what: string, value: number | null, limit: number): Verdict {
  return verdict(`${what} ≥ ${limit}`, value, value !== null && value >= limit);
}

function verdict(promise: string, value: number | null, good: boolean): Verdict {
  if (value === null) return { promise, value, finding: Finding.notMeasured };
  return { promise, value, finding: good ? Finding.met : Finding.notMet };
}

/** A line each. */
export function verdictLines(verdicts: readonly Verdict[]): string[] {
  const width = Math.max(...verdicts.map(({ promise }) => promise.length));
  return verdicts.map(({ promise, value, finding }) => {
    const told = value === null ? '–' : value < 10 ? value.toFixed(3) : value.toFixed(0);
    return `${promise.padEnd(width)}  ${told.padStart(7)}  ${finding}`;
  });
}
