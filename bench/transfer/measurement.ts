import type { Link } from '../../test/lab/link.ts';
import type { Way } from './way.ts';

/** What went between the two hosts, in bytes, by what it is. `null`: this way does not carry it. */
export interface Bytes {
  readonly image: number;
  readonly files: number;
  readonly memory: number | null;
  /** As the firewall counts it, both ways: what is no class of its own included. */
  readonly all: number;
}

/** One move. `null`: this way does not know such a thing. */
export interface Measured {
  readonly bytes: Bytes;
  readonly frozenMs: number | null;
  /** Of `frozenMs`, what Docker's own two commands took, without what goes over the link between them. */
  readonly engineMs: number | null;
  readonly holdMs: number | null;
  readonly blackoutMs: number;
  /** To the commit; without a gateway, until the app answers at its new place. */
  readonly totalMs: number;
  /** Of the files that had changed since the pass before, while the app stood still. */
  readonly lastPassMs: number | null;
  /** What the planner said of them. */
  readonly predicted: {
    readonly frozenMs: number;
    readonly totalMs: number;
    readonly bytesSent: number;
  } | null;
  readonly failed: number;
  readonly lost: number;
}

export interface Measurement extends Measured {
  readonly link: Link;
  readonly way: Way;
  readonly round: number;
}

/** A move that did not come about. */
export interface Failure {
  readonly link: Link;
  readonly approach: string;
  readonly round: number;
  readonly reason: string;
}

export interface Run {
  readonly measurements: readonly Measurement[];
  readonly failures: readonly Failure[];
}
