import type { IncomingMessage, ServerResponse } from 'node:http';
import { anySignal } from '../any-signal.ts';
import type { Footprint } from '../engine/engine.ts';
import { HoldfastError } from '../errors.ts';
import { hastily } from '../haste.ts';
import { Arrivals } from './arrivals.ts';
import { Deadlines } from './deadlines.ts';
import {
  engineOf,
  type HostContext,
  migrationOver,
  refuseIfBusy,
  unknownMigration,
  wrongPhase,
} from './host.ts';
import { Leases, leasedRecord } from './lease.ts';
import { Pagers } from './pagers.ts';
import {
  type AdmitReply,
  MigrationRole,
  type PageInReply,
  type RestoreReply,
  type Upload,
} from './protocol.ts';
import { isOver, type MigrationRecord, Phase } from './records.ts';
import { settle } from './settle.ts';
import { TakingIn } from './taking-in.ts';

const RETRY_MS = 1_000;

/** The side that takes a container in. Until it is committed, everything here can vanish without a loss. */
export class DestinationSide {
  readonly #host: HostContext;
  readonly #pagers: Pagers;
  readonly #leases = new Leases((id) => this.#expire(id));
  readonly #arrivals: Arrivals;
  readonly takingIn: TakingIn;
  #closed = false;

  constructor(host: HostContext) {
    this.#host = host;
    this.#pagers = new Pagers(host);
    this.takingIn = new TakingIn(host, this.#leases);
    this.#arrivals = new Arrivals(host, this.#leases, (id, container) => this.#pagers.listen(id, container));
  }

  async admit(id: string, container: string, footprint: Footprint): Promise<AdmitReply> {
    refuseIfBusy(this.#host, container, id);
    const engine = engineOf(this.#host, container);
    const { imagesRoot } = this.#host.workspaces;
    const findings = await this.#host.turns.take(id, container, Deadlines.admitMs, (signal) =>
      engine.admit(container, footprint, imagesRoot, signal),
    );
    this.#arrivals.admit(id, footprint.memoryBytes);
    return { findings };
  }

  /** @param pagesFrom the source's agent, when memory is to be fetched from it on demand */
  async prepare(id: string, container: string, leaseMs: number, pagesFrom?: string): Promise<void> {
    const engine = engineOf(this.#host, container);
    await this.#host.turns.take(id, container, Deadlines.prepareMs, async (signal) => {
      refuseIfBusy(this.#host, container, id);
      const known = this.#host.records.get(id);
      if (known && known.phase !== Phase.prepared) throw migrationOver(id, known.phase);
      const keepBytes = await this.#arrivals.room(id);
      // What runs here now is not this migration's: nothing may be written that leads to its removal.
      const { state } = await engine.status(container, signal);
      if (state === 'running' || state === 'frozen') throw containerExists(container);
      const role = MigrationRole.destination;
      await this.#host.records.save({ id, container, role, phase: Phase.prepared });
      try {
        await this.#pagers.stop(id, signal); // Of an attempt before this one.
        const workspace = await this.#host.workspaces.make(id);
        await Promise.all([
          engine.prepare(container, workspace, signal),
          pagesFrom === undefined ? undefined : this.#pagers.start(id, pagesFrom, signal),
        ]);
      } finally {
        this.#arrivals.expect(id, { keepBytes, leaseMs, standsBy: engine.belongings !== undefined });
      }
    });
  }

  /** Whether uploads of this migration are awaited. @throws HoldfastError when they are not */
  offer(id: string): { keepBytes: number } {
    return this.#arrivals.offer(id);
  }

  /** Take an upload in. The response is this method's, from its first byte to its end. */
  async receive(id: string, what: Upload, request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.#arrivals.receive(id, what, request, response);
  }

  /** Do what can be done of a restore before there are images. The lease begins. */
  async standBy(id: string): Promise<void> {
    const { container } = this.#record(id, 'stand-by', [Phase.prepared]);
    await this.#host.turns.take(id, container, Deadlines.standByMs, async (signal) => {
      this.#record(id, 'stand-by', [Phase.prepared]);
      const workspace = this.#host.workspaces.of(id);
      const { belongings } = engineOf(this.#host, container);
      await belongings?.standBy(container, workspace, this.#pagers.planned(id), signal);
      this.#arrivals.stoodBy(id);
    });
  }

  /** @param frozen nothing is to run before `resume`: the reply then says when the instance was there */
  async restore(id: string, frozen = false): Promise<RestoreReply> {
    const { container } = this.#record(id, 'restore', [Phase.received]);
    const restore = async (signal: AbortSignal) => {
      const record = this.#record(id, 'restore', [Phase.received]);
      this.takingIn.refuseUnlessOver(id, 'restore');
      await this.#host.records.note({ ...record, phase: Phase.restoring });
      this.#arrivals.end(id); // The restore needs the memory.
      const engine = engineOf(this.#host, container);
      const memory = await this.#pagers.memoryOf(id);
      const workspace = this.#host.workspaces.of(id);
      if (frozen) await engine.restoreFrozen(container, workspace, memory, signal);
      else await engine.restore(container, workspace, memory, signal);
      const runningAt = performance.now();
      await this.#host.records.note({ ...record, phase: frozen ? Phase.restoredFrozen : Phase.restored });
      return { sinceRunningMs: performance.now() - runningAt };
    };
    return hastily(() => this.#host.turns.take(id, container, Deadlines.restoreMs, restore));
  }

  async resume(id: string): Promise<RestoreReply> {
    const { container } = this.#record(id, 'resume', [Phase.restoredFrozen]);
    return this.#host.turns.take(id, container, Deadlines.restoreMs, async (signal) => {
      const record = this.#record(id, 'resume', [Phase.restoredFrozen]);
      await this.#host.records.note({ ...record, phase: Phase.restored });
      const runningAt = performance.now();
      await engineOf(this.#host, container).resume(container, signal);
      return { sinceRunningMs: performance.now() - runningAt };
    });
  }

  async health(id: string): Promise<void> {
    const { container } = this.#record(id, 'health', [Phase.restored]);
    await this.#host.turns.take(id, container, Deadlines.healthMs, async (signal) => {
      this.#record(id, 'health', [Phase.restored]);
      const soon = anySignal([signal, AbortSignal.timeout(Deadlines.healthyMs)]);
      await engineOf(this.#host, container).healthy(container, soon);
    });
  }

  /** The instance here is for good. Repeating it is harmless. @throws HoldfastError `LEASE_EXPIRED`, `PAGES_LOST` */
  async commit(id: string): Promise<void> {
    const known = this.#host.records.get(id);
    if (!known) throw leaseExpired(id);
    await this.#host.turns.take(id, known.container, Deadlines.undoMs, async (signal) => {
      const record = this.#host.records.get(id) ?? known;
      if (record.phase === Phase.committed || record.phase === Phase.paging) return;
      if (record.phase === Phase.lost) return void (await this.#pagers.pageIn(id));
      if (isOver(record) || this.#leases.isFenced(id)) throw leaseExpired(id);
      if (record.phase !== Phase.restored) throw wrongPhase(id, record.phase, 'commit');
      const committed = await this.#pagers.atCommit(id, signal);
      if (this.#leases.isFenced(id)) throw leaseExpired(id);
      // Between these two no timer can fire: from here on the lease does not run out.
      this.#leases.end(id);
      try {
        await this.#host.records.save({ ...record, ...committed });
      } catch (error) {
        this.#leases.begin(id, RETRY_MS);
        throw error;
      }
      this.#arrivals.forget(id);
      if (committed.phase === Phase.paging) {
        this.#pagers.follow(id);
        return;
      }
      this.#pagers.forget(id);
      settle(this.#host, record.container);
      // A directory left over is not worth the gateway's second thoughts: the next start sweeps it away.
      await this.#host.workspaces.remove(id).catch((error: unknown) => {
        this.#host.log.warn({ migrationId: id, err: error }, 'the workspace could not be removed');
      });
    });
  }

  /**
   * Settles when an instance that is committed, or stands still, needs its source no more.
   *
   * @throws HoldfastError `PAGES_LOST`, `DEADLINE`
   */
  async pageIn(id: string): Promise<PageInReply> {
    const known = this.#host.records.get(id);
    if (known?.phase !== Phase.restoredFrozen) return this.#pagers.pageIn(id);
    return this.#host.turns.take(id, known.container, Deadlines.pageInFrozenMs, async (signal) => {
      this.#record(id, 'page-in', [Phase.restoredFrozen]);
      return this.#pagers.whole(id, signal);
    });
  }

  /** Undo everything of this migration here. @throws HoldfastError `MIGRATION_OVER` after a commit */
  async discard(id: string): Promise<void> {
    const known = this.#host.records.get(id);
    const role = MigrationRole.destination;
    // A prepare that comes late must find that its migration was called off.
    if (!known) return this.#host.records.save({ id, container: '', role, phase: Phase.discarded });
    if (known.role !== role) throw unknownMigration(id);
    if (isForGood(known)) throw migrationOver(id, known.phase);
    if (isOver(known)) return;
    await this.#destroy(known, Phase.discarded);
  }

  /** Nothing that an earlier process of this agent left uncommitted may live on. */
  async recover(record: MigrationRecord): Promise<void> {
    if (isForGood(record)) await this.#pagers.adopt(record.id);
    else await this.#destroy(record, Phase.discarded);
  }

  /** Destroy what is not committed: without this process nobody would watch its lease. */
  async close(): Promise<void> {
    this.#closed = true;
    const left = this.#host.records
      .all()
      .filter((record) => record.role === MigrationRole.destination && !isOver(record) && !isForGood(record));
    const outcomes = await Promise.allSettled(left.map((record) => this.discard(record.id)));
    this.#leases.close();
    this.#pagers.close();
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        this.#host.log.error({ err: outcome.reason }, 'an uncommitted instance could not be destroyed');
      }
    }
  }

  #expire(id: string): void {
    const record = this.#host.records.get(id);
    if (!record || isOver(record)) return;
    const ids = { migrationId: id, container: record.container };
    this.#host.log.warn(ids, 'the lease ran out: the uncommitted instance is destroyed');
    this.#destroy(record, Phase.expired).catch((err: unknown) => {
      this.#host.log.error({ ...ids, err }, 'the uncommitted instance could not be destroyed: trying again');
      if (!this.#closed) this.#leases.begin(id, RETRY_MS);
    });
  }

  async #destroy(
    known: MigrationRecord,
    phase: typeof Phase.discarded | typeof Phase.expired,
  ): Promise<void> {
    const { id, container } = known;
    // At once, so that nothing of this migration that waits for its turn begins any more.
    this.#leases.fence(id);
    this.#host.turns.interrupt(container, id);
    await this.#host.turns.take(id, container, Deadlines.undoMs, async (signal) => {
      const record = this.#host.records.get(id) ?? known;
      if (isForGood(record)) throw migrationOver(id, record.phase);
      if (isOver(record)) return;
      await this.takingIn.stop(id);
      await engineOf(this.#host, container).discard(container, signal);
      await this.#pagers.stop(id, signal);
      await this.#host.workspaces.remove(id);
      await this.#host.records.save({ ...record, phase });
      this.#arrivals.forget(id);
      this.#leases.forget(id);
    });
  }

  #record(id: string, call: string, phases: readonly Phase[]): MigrationRecord {
    return leasedRecord(this.#host, this.#leases, id, { call, phases });
  }
}

/** Committed, whether all of its memory is here or not. */
function isForGood({ phase }: MigrationRecord): boolean {
  return phase === Phase.committed || phase === Phase.paging;
}

function containerExists(container: string): HoldfastError {
  return new HoldfastError('CONTAINER_EXISTS', `${container} lives on this host already`, {
    mend: 'remove one of the two copies, or migrate to another host',
  });
}

function leaseExpired(id: string): HoldfastError {
  return new HoldfastError('LEASE_EXPIRED', `nothing of migration ${id} is left here to commit`, {
    mend: 'the app runs on at its source: migrate again, with a longer hold limit if it recurs',
  });
}
