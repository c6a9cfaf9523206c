import type { Logger } from 'pino';
import type { Agent } from './agents.ts';
import { anySignal } from './any-signal.ts';
import type { EventBody, Order } from './context.ts';
import { Deadlines } from './deadlines.ts';
import { HoldfastError } from './errors.ts';
import { type MigrationEvent, Outcome } from './events.ts';
import { Feed } from './feed.ts';
import type { Gate } from './gate.ts';
import { goneHost } from './gone-host.ts';
import { Journal, type JournalContent, pruneJournals, readJournals } from './journal.ts';
import { Migration } from './migration.ts';
import { type MigrationRequest, type MovableApp, orderOf } from './orders.ts';
import type { Placements } from './placements.ts';
import type { Planner } from './planner/planner.ts';
import type { Plan } from './planner/prediction.ts';
import { preflight } from './preflight.ts';
import { type MigrationRecord, recordOf } from './record.ts';
import { Tidying } from './tidying.ts';

export interface MigrationsOptions {
  readonly gate: Gate;
  readonly agents: ReadonlyMap<string, Agent>;
  /** The apps that can be moved. */
  readonly apps: ReadonlyMap<string, MovableApp>;
  readonly placements: Placements;
  readonly planner: Planner;
  readonly journalDir: string;
  readonly log: Logger;
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
  readonly #listeners = new Set<(event: MigrationEvent) => void>();
  readonly #stop = new AbortController();
  readonly #tidying: Tidying;

  private constructor(options: MigrationsOptions, journals: JournalContent[]) {
    this.#options = options;
    this.#tidying = new Tidying({ log: options.log, signal: this.#stop.signal });
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
    const { apps, log } = this.#options;
    await Promise.all(
      this.#unclosed.map(async ({ id, events }) => {
        const record = recordOf(events);
        if (record === undefined) return;
        const { app, from, to, strategy, state } = record;
        const container = apps.get(app)?.container;
        if (container === undefined) {
          const what = { migration: id, app };
          log.error(what, 'an unfinished migration names an app that is not in the configuration');
          return this.#feeds.get(id)?.end();
        }
        const { migration, journal } = await this.#begin({ id, app, container, from, to, strategy });
        if (isUndecided(record)) await this.#track(id, app, journal, migration, () => migration.resume());
        else this.#tidying.begin(migration, journal, state as Outcome, false);
      }),
    );
  }

  /**
   * Order a move. Settles once it is in the journal; `events` tells how it goes on.
   *
   * @throws HoldfastError `APP_UNKNOWN`, `HOST_UNKNOWN`, `NO_TARGET`, `ALREADY_THERE`, `MIGRATION_UNDER_WAY`
   */
  async order(request: MigrationRequest): Promise<MigrationRecord> {
    const order = orderOf(request, { ...this.#options, underWay: this.#underWay });
    const { id, app, from, to, strategy, limitRateBps } = order;
    this.#underWay.set(app, id);
    try {
      const { migration, journal, emit } = await this.#begin(order);
      const limit = limitRateBps === undefined ? {} : { limitRateBps };
      await emit({ type: 'started', from, to, strategy, ...limit });
      void this.#track(id, app, journal, migration, () => migration.run());
    } catch (error) {
      this.#underWay.delete(app);
      throw error;
    }
    return this.get(id) as MigrationRecord;
  }

  /**
   * What a move would cost by each strategy, and which one would be taken. Nothing is touched.
   *
   * @throws HoldfastError as `order`, what preflight and the planner find against it
   */
  async plan(request: MigrationRequest): Promise<Plan> {
    const { planner } = this.#options;
    const order = orderOf(request, { ...this.#options, underWay: this.#underWay });
    const { source, destination } = this.#endsOf(order);
    const within = (ms: number) => anySignal([this.#stop.signal, AbortSignal.timeout(ms)]);
    const { footprint } = await preflight(order, source, destination, within(Deadlines.preflightMs));
    const hosts = { source, destination, footprint };
    return (await planner.plan(order, hosts, within(Deadlines.planMs))).plan;
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
    await this.#tidying.settled();
  }

  #endsOf({ from, to, container }: Order): { source: Agent; destination: Agent } {
    const { agents } = this.#options;
    return {
      source: agents.get(from) ?? goneHost(from, container),
      destination: agents.get(to) ?? goneHost(to, container),
    };
  }

  /** Open the journal of a migration and put together what it needs. */
  async #begin(order: Order) {
    const { apps, gate, placements, planner, journalDir, log } = this.#options;
    const { id, app } = order;
    const { source, destination } = this.#endsOf(order);
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
    const limits = (apps.get(app) as MovableApp).hold;
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
          this.#tidying.begin(migration, journal, outcome, migration.clean);
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
