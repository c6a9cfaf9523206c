import { build } from 'hdr-histogram-js';
import type { Exchange } from './exchange.ts';

/** What users noticed in a stretch of time. Latencies count from the time the schedule had the request. */
export interface Figures {
  readonly requests: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly 'p99.9': number;
  readonly max: number;
  /** The longest time without a good answer, from one good answer's end to the next one's. */
  readonly blackoutMs: number;
}

const LATENCY_LIMIT_US = 120_000_000;

export function figuresOf(exchanges: readonly Exchange[], fromMs: number, toMs: number): Figures {
  const latencies = build({ highestTrackableValue: LATENCY_LIMIT_US, numberOfSignificantValueDigits: 3 });
  let requests = 0;
  let failed = 0;
  const good: number[] = [];
  for (const one of exchanges) {
    if (one.outcome === 'answered' && one.doneAtMs >= fromMs && one.doneAtMs <= toMs) good.push(one.doneAtMs);
    if (one.intendedAtMs < fromMs || one.intendedAtMs > toMs) continue;
    requests += 1;
    if (one.outcome === 'failed') failed += 1;
    const latencyUs = Math.round((one.doneAtMs - one.intendedAtMs) * 1000);
    latencies.recordValue(Math.min(Math.max(latencyUs, 1), LATENCY_LIMIT_US));
  }
  const ms = (us: number) => Math.round(us / 10) / 100;
  const figures = {
    requests,
    failed,
    p50: ms(latencies.getValueAtPercentile(50)),
    p99: ms(latencies.getValueAtPercentile(99)),
    'p99.9': ms(latencies.getValueAtPercentile(99.9)),
    max: ms(latencies.maxValue),
    blackoutMs: Math.round(longestGap(good, fromMs, toMs) * 100) / 100,
  };
  latencies.destroy();
  return figures;
}

/** The window's edges count as good answers: what lies outside is another window's. */
export function longestGap(timesMs: readonly number[], fromMs: number, toMs: number): number {
  let longest = 0;
  let before = fromMs;
  for (const at of [...timesMs.toSorted((a, b) => a - b), toMs]) {
    longest = Math.max(longest, at - before);
    before = at;
  }
  return longest;
}
