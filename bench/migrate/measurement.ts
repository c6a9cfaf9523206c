import type { Cell } from './cell.ts';

/** What a planner said a move would cost. */
export interface Predicted {
  readonly frozenMs: number;
  readonly holdMs: number;
  readonly totalMs: number;
  readonly bytesSent: number;
}

/** What the rounds of memory sent ahead did to the app while they ran. */
export interface AheadCost {
  readonly durationMs: number;
  /** Of the prober's requests in the time before the move, and while the rounds ran. */
  readonly p99BeforeMs: number;
  readonly p99Ms: number;
  /** Cores that the source's agent kept busy. */
  readonly agentCores: number;
}

/** One move as the prober saw it. `null`: this approach does not know such a thing. */
export interface Measured {
  /** What `auto` took. */
  readonly strategy: string | null;
  readonly frozenMs: number | null;
  readonly holdMs: number | null;
  readonly blackoutMs: number;
  /** To the commit; without a gateway, until the app answers at its new place. */
  readonly totalMs: number;
  /** Until neither host needs the other any more. */
  readonly settledMs: number;
  /** Between the two hosts, both ways. */
  readonly bytesSent: number;
  readonly requests: number;
  readonly failed: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly predicted: Predicted | null;
  readonly ahead: AheadCost | null;
}

export interface Measurement extends Measured {
  readonly cell: Cell;
  readonly approach: string;
  readonly round: number;
}

/** A move that did not come about. */
export interface Failure {
  readonly cell: Cell;
  readonly approach: string;
  readonly round: number;
  readonly reason: string;
}

export interface Run {
  readonly measurements: readonly Measurement[];
  readonly failures: readonly Failure[];
  /** Approaches that this machine cannot carry out, and why. */
  readonly unavailable: Readonly<Record<string, string>>;
}
