import type { Strategy } from '../events.ts';

/** What a move by one strategy will cost. The names are those of the figures it is held against: README, "Words for times". */
export interface Prediction {
  readonly strategy: Strategy;
  readonly frozenMs: number;
  readonly holdMs: number;
  readonly totalMs: number;
  readonly bytesSent: number;
  /** Of memory sent ahead. */
  readonly rounds: number;
  /** From the commit on: how long the app still needs both hosts. */
  readonly bothHostsMs: number;
  /** What to know of it before choosing it. */
  readonly remark: string;
}

/** What was measured, what follows from it for each strategy, and which one is taken. */
export interface Plan {
  readonly strategy: Strategy;
  /** Why this one, in words. */
  readonly reason: string;
  /** One for each strategy, in the order in which they are preferred where they cost the same. */
  readonly predictions: readonly Prediction[];
  readonly measured: Measured;
}

/** The measurements that a plan rests on. */
export interface Measured {
  /** Between the two agents. */
  readonly rttMs: number;
  /** Bits a second from the source to the destination. */
  readonly rateBps: number;
  /** All that has to move: private, shared and swapped memory, and files on tmpfs. */
  readonly memoryBytes: number;
  readonly dirtyBytesPerS: number;
  readonly hotBytes: number;
  /** Moves between these two hosts that the fixed costs were learnt from. */
  readonly learntFrom: number;
}
