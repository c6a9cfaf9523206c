import type { Logger } from 'pino';
import type { Engine } from '../engine/engine.ts';
import { HoldfastError } from '../errors.ts';
import type { TlsMaterial } from '../pki/tls-files.ts';
import type { LinkShare } from '../transfer/link-share.ts';
import type { MigrationRole } from './protocol.ts';
import { isOver, type MigrationRecord, type Phase, type RecordStore } from './records.ts';
import { busy, type Turns } from './turns.ts';
import type { Workspaces } from './workspaces.ts';

/** What the two sides of an agent share. */
export interface HostContext {
  readonly engines: readonly Engine[];
  readonly records: RecordStore;
  readonly workspaces: Workspaces;
  readonly turns: Turns;
  readonly tls: TlsMaterial;
  /** Of what this host sends to others. */
  readonly link: LinkShare;
  readonly memory?: { readonly workers?: number };
  /** For how long memory that is still at the source may be out of reach before whoever needs it is given up. */
  readonly pagesStallMs: number;
  readonly log: Logger;
  /** Fires when the agent ends. */
  readonly closing: AbortSignal;
}

/** @throws HoldfastError `CONTAINER_UNKNOWN` */
export function engineOf(host: HostContext, container: string): Engine {
  const engine = host.engines.find((candidate) => candidate.containers().includes(container));
  if (engine) return engine;
  throw new HoldfastError('CONTAINER_UNKNOWN', `${container} is not a container of this host`, {
    mend: 'name it under containers: in agent.yaml, and start the agent again',
  });
}

/** @throws HoldfastError `CONTAINER_BUSY` when a migration other than `exceptId` has the container in its hands */
export function refuseIfBusy(host: HostContext, container: string, exceptId?: string): void {
  const record = host.records.of(container);
  // A source that is only connected was never told that its migration was called off: nothing is at stake there.
  if (!record || record.id === exceptId || record.phase === 'connected') return;
  throw busy(container, `migration ${record.id}`);
}

/**
 * What is on record of a migration that is under way here.
 *
 * @throws HoldfastError `MIGRATION_UNKNOWN`, `MIGRATION_OVER`, `MIGRATION_PHASE` when it is in none of the phases in which
 * the call can be made
 */
export function recordUnderWay(
  host: HostContext,
  id: string,
  expected: { role: MigrationRole; phases: readonly Phase[]; call: string },
): MigrationRecord {
  const record = host.records.get(id);
  if (record?.role !== expected.role) throw unknownMigration(id);
  if (isOver(record)) throw migrationOver(id, record.phase);
  if (!expected.phases.includes(record.phase)) throw wrongPhase(id, record.phase, expected.call);
  return record;
}

export function unknownMigration(id: string): HoldfastError {
  return new HoldfastError('MIGRATION_UNKNOWN', `migration ${id} was not prepared on this host`, {
    mend: 'migrate again',
  });
}

export function wrongPhase(id: string, phase: string, call: string): HoldfastError {
  return new HoldfastError('MIGRATION_PHASE', `migration ${id} is ${phase} here: no ${call} now`, {
    mend: 'migrate again',
  });
}

export function migrationOver(id: string, phase: string): HoldfastError {
  return new HoldfastError('MIGRATION_OVER', `migration ${id} is over on this host: ${phase}`, {
    mend: 'migrate again',
  });
}
