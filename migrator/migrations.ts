import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Agent } from './agents.ts';
import { anySignal } from './any-signal.ts';
import type { EventBody, HoldLimits, Order } from './context.ts';
import { Deadlines, FOR_AS_LONG_AS_IT_TAKES, insist } from './deadlines.ts';
import { HoldfastError } from './errors.ts';
import { AUTO, type MigrationEvent, Outcome, type StrategyOrder } from './events.ts';
import { Feed } from './feed.ts';
import type { Gate } from './gate.ts';
import { goneHost } from './gone-host.ts';
import { Journal, type JournalContent, pruneJournals, readJournals } from './journal.ts';
import { Migration } from './migration.ts';
import type { Placements } from './placements.ts';
import type { Planner } from './planner/planner.ts';
import type { Plan } from './planner/prediction.ts';
import { preflight } from './preflight.ts';
import { type MigrationRecord, recordOf } from './record.ts';

export interface MigrationsOptions {
  readonly gate: Gate;
  readonly agents: ReadonlyMap<string, Agent>;
  /** The apps that can be moved. */
  readonly apps: ReadonlyMap<string, { readonly container: string; readonly hold: HoldLimits }>;
  readonly placements: Placements;
  readonly planner: Planner;
  readonly journalDir: string;
  readonly log: Logger;
}

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
}

/** Closed migrations that are remembered; the oldest are forgotten beyond it. */
const REMEMBERED = 500;

/** Every migration of this gateway: orders them, one at a time for each app, and takes up what a crash left. */
export class Migrations {
  readonly #options: MigrationsOptions;
  readonly #unclosed: JournalContent[];
  readonly #feeds = new Map<string, Feed>();
  /** App to migration. Entered before anything is awaited, so that two orders at once cannot both pass. */
  readonly #underWay = new Map<string, string>();
  readonly #running = new Set<Promise<void>>();
  readonly #tidying = new Set<Promise<void>>();
  readonly #listeners = new Set<(event: MigrationEvent) => void>();
  readonly #stop = new AbortController();

  private constructor(options: MigrationsOptions, journals: JournalContent[]) {
    this.#options = options;
    for (const { id, events, closed } of journals) this.#feeds.set(id, new Feed(events, { ended: closed }));
    this.#unclosed = journals.filter((journal) => !journal.closed);
    for (const journal of this.#unclosed) {
      const record = recordOf(journal.events);
      if (record && isUndecided(record)) this.#underWay.set(record.app, record.id);
    }
  }

  static async open(options: MigrationsOptions): Promise<Migrations> {
    const journals = await readJournals(options.journalDir);
    await pruneJournals(options.journalDir, journals, REMEMBERED);
    return new Migrations(options, journals.slice(-REMEMBERED));
  }

  /** Apps whose migration a crash left undecided: their gate must be closed until `recover` has dealt with them. */
  undecidedApps(): string[] {
    return [...this.#underWay.keys()];
  }

  /** Finish or undo what a crash left. Settles when every app has one live instance again. */
  async recover(): Promise<void> {
    await Promise.all(
      this.#unclosed.map(async ({ id, events }) => {
        const record = recordOf(events);
        if (record === undefined) return;
        const opened = await this.#begin(record);
        if (opened === undefined) return this.#feeds.get(id)?.end();
        const { migration, journal } = opened;
        if (isUndecided(record))
          await this.#track(id, record.app, journal, migration, () => migration.resume());
        else this.#tidy(migration, journal, record.state as Outcome, { clean: false });
      }),
    );
  }

  /**
   * Order a move. Settles once it is in the journal; `events` tells how it goes on.
   *
   * @throws HoldfastError `APP_UNKNOWN`, `HOST_UNKNOWN`, `NO_TARGET`, `ALREADY_THERE`, `MIGRATION_UNDER_WAY`
   */
  async order(request: MigrationRequest): Promise<MigrationRecord> {
    const { app, to, strategy = AUTO, maxFreezeMs, verify } = request;
    const order = { ...this.#orderFor(app, to), strategy, maxFreezeMs, verify };
    this.#underWay.set(app, order.id);
    try {
      const opened = await this.#begin(order);
      if (opened === undefined) throw unknownApp(app, this.#options.apps);
      const { migration, journal, emit } = opened;
      await emit({ type: 'started', from: order.from, to, strategy });
      void this.#track(order.id, app, journal, migration, () => migration.run());
    } catch (error) {
      this.#underWay.delete(app);
      throw error;
    }
    return this.get(order.id) as MigrationRecord;
  }

  /**
   * What a move would cost by each strategy, and which one would be taken. Nothing is touched.
   *
   * @throws HoldfastError as `order`, what preflight and the planner find against it
   */
  async plan({ app, to, strategy = AUTO, maxFreezeMs, verify }: MigrationRequest): Promise<Plan> {
    const { agents, planner } = this.#options;
    const order = this.#orderFor(app, to);
    const source = agents.get(order.from);
    const destination = agents.get(to);
    if (source === undefined) throw unknownHost(order.from, agents);
    if (destination === undefined) throw unknownHost(to, agents);
    const within = (ms: number) => anySignal([this.#stop.signal, AbortSignal.timeout(ms)]);
    const footprint = await preflight(order, source, destination, within(Deadlines.preflightMs));
    const wish = { ...order, strategy, maxFreezeMs, verify };
    const hosts = { source, destination, footprint };
    return (await planner.plan(wish, hosts, within(Deadlines.planMs))).plan;
  }

  get(id: string): MigrationRecord | undefined {
    const feed = this.#feeds.get(id);
    return feed && recordOf(feed.events);
  }

  /** Newest first. */
  list(): MigrationRecord[] {
    return [...this.#feeds.values()]
      .map((feed) => recordOf(feed.events))
      .filter((record) => record !== undefined)
      .reverse();
  }

  /** The events of one migration from the first on; ends after its last, or when `signal` fires. */
  events(id: string, signal: AbortSignal): AsyncIterable<MigrationEvent> | undefined {
    return this.#feeds.get(id)?.read(signal);
  }

  /** Be told every event of every migration from now on. @returns call it to be told no more */
  subscribe(listener: (event: MigrationEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Settles when every migration under way has ended. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  /** Leave whatever is unfinished to the journal, and to the next gateway that opens it. */
  async close(): Promise<void> {
    this.#stop.abort(new HoldfastError('GATEWAY_STOPPED', 'the gateway is stopping', { retryable: true }));
    await this.settled();
    await Promise.all(this.#tidying);
  }

  #orderFor(app: string, to: string): Omit<Order, 'strategy' | 'maxFreezeMs' | 'verify'> {
    const { apps, agents, placements } = this.#options;
    const known = apps.get(app);
    if (known === undefined) {
      throw unknownApp(app, apps);
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
    const other = this.#underWay.get(app);
    if (other !== undefined) {
      throw new HoldfastError('MIGRATION_UNDER_WAY', `${app} is being moved already, by ${other}`, {
        mend: `wait for it: gateway status, or GET /v1/migrations/${other}/events`,
        retryable: true,
      });
    }
    if (from === to) {
      throw new HoldfastError('ALREADY_THERE', `${app} runs on ${to} already`, { mend: 'name another host' });
    }
    return { id: newId(), app, container: known.container, from, to };
  }

  /** Open the journal of a migration and put together what it needs; undefined when the app is not known. */
  async #begin(about: Omit<Order, 'container'>) {
    const { agents, apps, gate, placements, planner, journalDir, log } = this.#options;
    const { id, app, from, to, strategy, maxFreezeMs, verify } = about;
    const known = apps.get(app);
    if (known === undefined) {
      log.error(
        { migration: id, app },
        'an unfinished migration names an app that is not in the configuration',
      );
      return undefined;
    }
    const { container, hold: limits } = known;
    const source = agents.get(from) ?? goneHost(from, container);
    const destination = agents.get(to) ?? goneHost(to, container);
    const journal = await Journal.open(journalDir, id);
    const feed = this.#feeds.get(id) ?? new Feed([], { ended: false });
    this.#feeds.set(id, feed);
    const beganAt = performance.now();
    const emit = async (body: EventBody) => {
      const elapsedMs = performance.now() - beganAt;
      const event = {
        migrationId: id,
        app,
        at: new Date().toISOString(),
        elapsedMs,
        ...body,
      } as MigrationEvent;
      await journal.append(event, { durable: isDurable(event) }).catch((error) => {
        if (mustStand(event)) throw error;
        log.error({ err: error, migration: id, app }, 'the journal cannot be written');
      });
      feed.push(event);
      for (const listener of this.#listeners) listener(event);
    };
    const order: Order = { id, app, container, from, to, strategy, maxFreezeMs, verify };
    const signal = this.#stop.signal;
    const context = { order, source, destination, gate, placements, planner, limits, emit, signal };
    return { migration: new Migration(context, feed.events), journal, emit };
  }

  async #track(
    id: string,
    app: string,
    journal: Journal,
    migration: Migration,
    run: () => Promise<Outcome | undefined>,
  ) {
    const ended = (async () => {
      try {
        const outcome = await run();
        if (outcome !== undefined && outcome !== Outcome.failed)
          this.#tidy(migration, journal, outcome, migration);
        else await journal.close();
      } catch (error) {
        this.#options.log.error({ err: error, migration: id, app }, 'the migration broke off');
      } finally {
        this.#underWay.delete(app);
        this.#feeds.get(id)?.end();
      }
      await migration.learn(this.#feeds.get(id)?.events ?? []); // The next move need not wait for it.
    })();
    this.#running.add(ended);
    await ended.finally(() => this.#running.delete(ended));
  }

  /** Until no host has anything left of the migration. Goes on for as long as a host does not answer. */
  #tidy(migration: Migration, journal: Journal, outcome: Outcome, state: { clean: boolean }): void {
    const tidied = this.#takeAway(migration, journal, outcome, state);
    this.#tidying.add(tidied);
    tidied.finally(() => this.#tidying.delete(tidied));
  }

  async #takeAway(
    migration: Migration,
    journal: Journal,
    outcome: Outcome,
    state: { clean: boolean },
  ): Promise<void> {
    try {
      if (!state.clean) {
        await insist(() => migration.cleanUp(outcome), {
          attemptMs: Deadlines.cleanupMs,
          withinMs: FOR_AS_LONG_AS_IT_TAKES,
          signal: this.#stop.signal,
        });
      }
      await journal.append({ type: 'closed' }, { durable: true });
    } catch (error) {
      this.#options.log.warn({ err: error, outcome }, 'something of a migration is left on a host');
    } finally {
      await journal.close();
    }
  }
}

/** What came before it is on the disk too by then. */
function isDurable({ type }: MigrationEvent): boolean {
  return type !== 'step-finished' && type !== 'step-failed' && type !== 'undo-finished';
}

/** The way back is made even when it cannot be written down: every part of it may be made twice. */
function mustStand({ type }: MigrationEvent): boolean {
  return type === 'started' || type === 'step-started';
}

function isUndecided(record: MigrationRecord): boolean {
  return record.state === 'running' || record.state === Outcome.failed;
}

function unknownApp(app: string, apps: MigrationsOptions['apps']): HoldfastError {
  return new HoldfastError('APP_UNKNOWN', `no app is called ${app}`, {
    mend: `name one of: ${[...apps.keys()].join(', ')}`,
  });
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
