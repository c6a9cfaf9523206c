import { randomBytes } from 'node:crypto';
import type { Agent } from './agents.ts';
import type { HoldLimits, Order } from './context.ts';
import { HoldfastError } from './errors.ts';
import { AUTO, type StrategyOrder } from './events.ts';
import type { Placements } from './placements.ts';

/** What may be asked for of a move. */
export interface MigrationRequest {
  readonly app: string;
  readonly to: string;
  /** The planner's choice when not given. */
  readonly strategy?: StrategyOrder;
  /** Refuse the move when the app would be frozen for longer. */
  readonly maxFreezeMs?: number;
  /** Compare the memory of both ends before the app runs on at the destination. */
  readonly verify?: boolean;
  /** Send no more than so many bits a second; as the app's configuration says when not given. */
  readonly limitRateBps?: number;
}

export interface MovableApp {
  readonly container: string;
  readonly hold: HoldLimits;
  readonly limitRateBps?: number | undefined;
}

/** What a request is held against. */
export interface Known {
  readonly apps: ReadonlyMap<string, MovableApp>;
  readonly agents: ReadonlyMap<string, Agent>;
  readonly placements: Pick<Placements, 'hostOf'>;
  /** The migration that has an app in its hands, if any. */
  readonly underWay: ReadonlyMap<string, string>;
}

/**
 * The order that a request comes to, from where the app runs now.
 *
 * @throws HoldfastError `APP_UNKNOWN`, `HOST_UNKNOWN`, `NO_TARGET`, `ALREADY_THERE`, `MIGRATION_UNDER_WAY`
 */
export function orderOf(request: MigrationRequest, { apps, agents, placements, underWay }: Known): Order {
  const { app, to, strategy = AUTO, maxFreezeMs, verify } = request;
  const known = apps.get(app);
  if (known === undefined) {
    throw new HoldfastError('APP_UNKNOWN', `no app is called ${app}`, {
      mend: `name one of: ${[...apps.keys()].join(', ')}`,
    });
  }
  if (!agents.has(to)) throw unknownHost(to, agents);
  const from = placements.hostOf(app);
  if (from === undefined) {
    throw new HoldfastError('NO_TARGET', `it is not known where ${app} runs`, {
      mend: `start it with: gateway start ${app} --on HOST`,
      retryable: true,
    });
  }
  if (!agents.has(from)) throw unknownHost(from, agents);
  const other = underWay.get(app);
  if (other !== undefined) {
    throw new HoldfastError('MIGRATION_UNDER_WAY', `${app} is being moved already, by ${other}`, {
      mend: `wait for it: gateway status, or GET /v1/migrations/${other}/events`,
      retryable: true,
    });
  }
  if (from === to) {
    throw new HoldfastError('ALREADY_THERE', `${app} runs on ${to} already`, { mend: 'name another host' });
  }
  const { container } = known;
  const limitRateBps = request.limitRateBps ?? known.limitRateBps;
  return { id: newId(), app, container, from, to, strategy, maxFreezeMs, verify, limitRateBps };
}

function unknownHost(host: string, agents: ReadonlyMap<string, Agent>): HoldfastError {
  return new HoldfastError('HOST_UNKNOWN', `no host is called ${host}`, {
    mend: `name one of: ${[...agents.keys()].join(', ')}`,
  });
}

/** Sorts by time of order: the journal's files are read in this order. */
function newId(): string {
  const stamp = new Date().toISOString().replace(/[-:]/g, '').slice(0, 15).replace('T', '-');
  return `${stamp}-${randomBytes(3).toString('hex')}`;
}
