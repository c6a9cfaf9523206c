import type { Target } from '../../migrator/gate.ts';

export const GateState = {
  /** Requests pass. */
  open: 'open',
  /** New requests wait; those in flight are being answered and the connections to the target closed. */
  draining: 'draining',
  /** New requests wait; nothing of ours is at the target. */
  held: 'held',
  /** The queue is being let go, in order and paced; new requests join its tail. */
  releasing: 'releasing',
} as const;
export type GateState = (typeof GateState)[keyof typeof GateState];

export interface GateSnapshot {
  readonly state: GateState;
  readonly target?: Target;
  /** At the target now, upgraded connections among them. */
  readonly inFlight: number;
  readonly heldRequests: number;
  readonly heldBytes: number;
}
