import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { HoldfastError } from '../errors.ts';
import { ErrorReply, PageInReply } from './protocol.ts';

/** How far a migration has come on this host. Each is written before what it names is done. */
export const Phase = {
  /** Source: there is a link to the destination, and the container runs on as ever. */
  connected: 'connected',
  /** Source: the container is frozen, or may be. */
  frozen: 'frozen',
  thawing: 'thawing',
  finishing: 'finishing',
  /** Destination: things were made for a restore. */
  prepared: 'prepared',
  received: 'received',
  /** Destination: an instance runs, or may. */
  restoring: 'restoring',
  /** Destination: an instance is there, frozen since before its first instruction. */
  restoredFrozen: 'restored-frozen',
  restored: 'restored',
  /** Destination: the instance is for good, as long as the memory that is still at the source can be had. */
  paging: 'paging',
  /** The ends. What is over stays over. */
  thawed: 'thawed',
  finished: 'finished',
  committed: 'committed',
  discarded: 'discarded',
  expired: 'expired',
  /**
   * Destination: the instance was for good, and is gone with the memory that was still at the source. Source: what was
   * frozen is gone, by another's hand.
   */
  lost: 'lost',
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

const ENDS: ReadonlySet<Phase> = new Set([
  Phase.thawed,
  Phase.finished,
  Phase.committed,
  Phase.discarded,
  Phase.expired,
  Phase.lost,
]);

const MigrationRecord = Type.Object({
  id: Type.String(),
  /** Empty when a migration was called off here before it was heard of. */
  container: Type.String(),
  role: Type.Union([Type.Literal('source'), Type.Literal('destination')]),
  phase: Type.Union(Object.values(Phase).map((phase) => Type.Literal(phase))),
  /** Wall clock, ISO 8601. */
  at: Type.String(),
  /** Source: what it may send, in bits a second. */
  limitRateBps: Type.Optional(Type.Integer()),
  /** What fetching its memory came to. */
  pageIn: Type.Optional(PageInReply),
  /** Why it is lost. */
  error: Type.Optional(ErrorReply),
});
type Stored = Static<typeof MigrationRecord>;
export interface MigrationRecord extends Omit<Stored, 'phase'> {
  readonly phase: Phase;
}

/** Ended migrations that are remembered, so that a late call for one of them is told so. */
const ENDS_KEPT = 200;

export function isOver(record: MigrationRecord): boolean {
  return ENDS.has(record.phase);
}

/** What this host knows of migrations: in memory to be asked, in one file each to outlive the process. */
export class RecordStore {
  readonly #dir: string;
  readonly #records = new Map<string, MigrationRecord>();

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws HoldfastError `RECORD_UNREADABLE`: what a record said must be known before anything is done */
  static async open(stateDir: string): Promise<RecordStore> {
    const dir = path.join(stateDir, 'migrations');
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const store = new RecordStore(dir);
    const names = (await readdir(dir)).filter((name) => name.endsWith('.json'));
    const records = await Promise.all(names.map((name) => readRecord(path.join(dir, name))));
    records.sort((a, b) => a.at.localeCompare(b.at));
    for (const record of records) store.#records.set(record.id, record);
    return store;
  }

  get(id: string): MigrationRecord | undefined {
    return this.#records.get(id);
  }

  all(): MigrationRecord[] {
    return [...this.#records.values()];
  }

  /** The migration that is not over and has this container. */
  of(container: string): MigrationRecord | undefined {
    return this.all().find((record) => record.container === container && !isOver(record));
  }

  /** Write a record so that it outlives a power cut. */
  async save(record: Omit<MigrationRecord, 'at'>): Promise<void> {
    await this.#write(record, true);
    await this.#forgetOldEnds();
  }

  /**
   * Write a record so that it outlives this process but not, necessarily, the machine: for phases that are nothing
   * to return to after a power cut, in which the containers are gone as well.
   */
  async note(record: Omit<MigrationRecord, 'at'>): Promise<void> {
    await this.#write(record, false);
  }

  async #write(record: Omit<MigrationRecord, 'at'>, durable: boolean): Promise<void> {
    const whole: MigrationRecord = { ...record, at: new Date().toISOString() };
    const file = this.#fileOf(record.id);
    const handle = await open(`${file}.new`, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify(whole));
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${file}.new`, file);
    if (durable) await syncDirectory(this.#dir);
    this.#records.delete(record.id); // The map stays in the order of the last change.
    this.#records.set(record.id, whole);
  }

  async #forgetOldEnds(): Promise<void> {
    const ended = this.all().filter(isOver);
    for (const { id } of ended.slice(0, Math.max(0, ended.length - ENDS_KEPT))) {
      this.#records.delete(id);
      await rm(this.#fileOf(id), { force: true });
    }
  }

  #fileOf(id: string): string {
    return path.join(this.#dir, `${id}.json`);
  }
}

async function readRecord(file: string): Promise<MigrationRecord> {
  try {
    const record: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (Value.Check(MigrationRecord, record)) return record as MigrationRecord;
  } catch (cause) {
    throw unreadable(file, cause);
  }
  throw unreadable(file);
}

function unreadable(file: string, cause?: unknown): HoldfastError {
  return new HoldfastError('RECORD_UNREADABLE', `${file} is not a migration record`, {
    mend: 'see which copy of its container is alive, then delete the file and start the agent again',
    cause,
  });
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
