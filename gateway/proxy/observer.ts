import type { AnsweredBy, Refusal } from '../gate/visit.ts';

export const HoldEnd = {
  released: 'released',
  timedOut: 'timed-out',
  clientGone: 'client-gone',
  /** The gateway shut down before the gate opened. */
  failed: 'failed',
} as const;
export type HoldEnd = (typeof HoldEnd)[keyof typeof HoldEnd];

/** Status counted for a request whose client went away before it was answered; never sent. */
export const CLIENT_GONE_STATUS = 499;

/** What the proxy tells of its requests, synchronously and in the hot path: implementations only count. */
export interface Observer {
  /** Once for every request that had a route. For an upgraded connection when it is closed, with status 101. */
  requestFinished(
    app: string,
    method: string,
    status: number,
    durationMs: number,
    answeredBy: AnsweredBy,
  ): void;
  requestHeld(app: string): void;
  holdEnded(app: string, waitedMs: number, outcome: HoldEnd): void;
  /** Turned away by the gateway itself. `app` is `-` when no route led to one. */
  requestRejected(app: string, reason: Refusal | 'no-route' | 'bad-request'): void;
}
