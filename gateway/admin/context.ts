import type { Logger } from 'pino';
import type { HaproxyGate } from '../../haproxy/gate.ts';
import type { Migrations } from '../../migrator/migrations.ts';
import type { Apps } from '../apps.ts';
import type { Gates } from '../gate/gates.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Placements } from '../placements/placements.ts';
import type { ContainerHost } from '../placements/survey.ts';

/** What the admin API tells of, and acts upon. */
export interface AdminContext {
  readonly version: string;
  readonly apps: Apps;
  readonly agents: ReadonlyMap<string, ContainerHost & { readonly url: string }>;
  readonly placements: Placements;
  readonly migrations: Migrations;
  readonly gates: Gates;
  /** Those in front, if there are any. */
  readonly haproxy?: Pick<HaproxyGate, 'states'> | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Settles when the hosts have been asked for the first time: nothing is answered before. */
  readonly ready: Promise<void>;
  /** Fires when the gateway is asked to stop: no orders are taken from then on. */
  readonly draining: AbortSignal;
  /** Fires when the gateway stops: streams end then. */
  readonly stopping: AbortSignal;
}
