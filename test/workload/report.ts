import type { Chain } from './check.ts';
import type { Exchange } from './exchange.ts';
import { type Figures, figuresOf } from './figures.ts';
import type { LoadResult } from './load.ts';

/** A stretch of time by `nowMs()`. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface WindowReport extends Figures {
  /** Those whose requests fell into the window; that they were lost may have shown only later. */
  readonly lost: number;
  readonly duplicated: number;
}

export interface LoadReport {
  readonly windows: readonly WindowReport[];
  readonly total: WindowReport & { readonly corrupted: number; readonly chain: Chain };
  /** The first faults, in words. */
  readonly faults: readonly string[];
  /** How many failed for which reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

/** A whole run, and each of `windows`, in figures. */
export function reportOf(result: LoadResult, windows: readonly Window[]): LoadReport {
  const { exchanges, verdict } = result;
  const { lost, duplicated, corrupted, chain, faults } = verdict;
  const whole = {
    fromMs: exchanges.reduce((least, one) => Math.min(least, one.intendedAtMs), Number.POSITIVE_INFINITY),
    toMs: exchanges.reduce((most, one) => Math.max(most, one.doneAtMs), 0),
  };
  return {
    windows: windows.map((window) => ({
      ...figuresOf(exchanges, window.fromMs, window.toMs),
      lost: countIn(exchanges, verdict.lostIds, window),
      duplicated: countIn(exchanges, verdict.duplicatedIds, window),
    })),
    total: { ...figuresOf(exchanges, whole.fromMs, whole.toMs), lost, duplicated, corrupted, chain },
    faults,
    reasons: countReasons(exchanges),
  };
}

function countIn(exchanges: readonly Exchange[], ids: ReadonlySet<string>, window: Window): number {
  if (ids.size === 0) return 0;
  const within = exchanges.filter(
    (one) => ids.has(one.id) && one.intendedAtMs >= window.fromMs && one.intendedAtMs <= window.toMs,
  );
  return new Set(within.map((one) => one.id)).size;
}

function countReasons(exchanges: readonly Exchange[]): Record<string, number> {
  const reasons: Record<string, number> = {};
  for (const one of exchanges) {
    if (one.outcome === 'failed') reasons[one.reason] = (reasons[one.reason] ?? 0) + 1;
  }
  return reasons;
}
