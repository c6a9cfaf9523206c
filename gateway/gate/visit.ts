import type { Upstream } from './upstream.ts';

/** Where a request is, seen from the gate. */
export const Stage = {
  arriving: 'arriving',
  held: 'held',
  atTarget: 'at-target',
  atReplica: 'at-replica',
  gone: 'gone',
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

/** Why the gate turns a request away. All of them are answered 503 with `Retry-After`. */
export const Refusal = {
  tooManyHeld: 'too-many-held',
  tooManyBytesHeld: 'too-many-bytes-held',
  heldTooLong: 'held-too-long',
  noTarget: 'no-target',
  closing: 'closing',
} as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];

export const AnsweredBy = { target: 'target', replica: 'replica', gateway: 'gateway' } as const;
export type AnsweredBy = (typeof AnsweredBy)[keyof typeof AnsweredBy];

/**
 * One request at the gate, from its arrival to its end. The proxy's exchange extends it.
 *
 * It is its own node in the gate's queue: a client that goes away is taken out in constant time, and a request that
 * passes an open gate costs no object besides itself.
 */
export abstract class Visit {
  /** Written by the gate alone, as is everything down to `heldBytes`. */
  stage: Stage = Stage.arriving;
  /** Takes one of the places of a paced release. */
  paced = false;
  previous: Visit | undefined = undefined;
  next: Visit | undefined = undefined;
  heldSinceMs = 0;
  heldBytes = 0;

  /** GET and HEAD without a body and without an upgrade. */
  abstract readonly replicaMayAnswer: boolean;
  /**
   * An upper bound of the memory the request pins while it waits unread: its head, and of its body what node reads
   * before back-pressure stops it, which is the stream's high-water mark and one socket read. (Such a stopped upload
   * is the one request whose client can leave unnoticed: nobody reads its socket until the release or `maxHoldMs`.)
   */
  abstract pinnedBytes(): number;
  /** The request waits in the queue from now on. */
  abstract onHeld(): void;
  /** The gate closes, and its upgraded connection with it: tell the gate `leave` when it is closed. */
  abstract onGoodbye(): void;
  /** Go: tell the gate `started`, perhaps `openEnded`, and in the end `leave`. */
  abstract onSend(upstream: Upstream, to: AnsweredBy): void;
  /** Turned away: the gate has forgotten the request already. */
  abstract onRefused(refusal: Refusal): void;
}
