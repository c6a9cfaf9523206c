import type { Logger } from 'pino';
import type { AppGate } from '../gate/app-gate.ts';
import type { Callers } from './callers.ts';
import type { Connections } from './connections.ts';
import type { Observer } from './observer.ts';
import type { Destination, Forwarded } from './request-head.ts';

/** What all exchanges of a proxy share. */
export interface ExchangeContext {
  readonly observer: Observer;
  readonly log: Logger;
  readonly connections: Connections;
  readonly callers: Callers;
  readonly forwarded: Forwarded;
  /** The proxy accepts no more: answers close their connections. */
  isClosing: boolean;
}

export interface ExchangeOptions {
  readonly app: string;
  readonly gate: AppGate;
  readonly destination: Destination;
  /** The client waits for a 100 before it sends the body. */
  readonly expectsContinue: boolean;
  readonly isUpgrade: boolean;
}
