import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastError, toErrorBody } from '../errors.ts';
import { goFirst } from '../haste.ts';
import { Link } from '../transfer/link.ts';
import { Control } from './control.ts';
import { pagerFailed } from './errors.ts';
import { LazyMemory } from './lazy-memory.ts';
import { Paging } from './paging.ts';
import {
  NO_FIGURES,
  PagerFile,
  type PagerOrder,
  type PagerSettings,
  PagerState,
  type PagerStatus,
  parseSettings,
} from './protocol.ts';
import { StorePaging } from './store-paging.ts';

/** Pages may be sent ahead for ten minutes, and requests drain after that. */
const SERVE_WITHIN_MS = 20 * 60_000;
const CONNECT_MS = 10_000;
/** A link that the source closed while it stood ready is made anew. */
const KEEP_READY_MS = 5_000;

/** The pager's process: see `startPager`. */
class PagerProcess {
  readonly #settings: PagerSettings;
  readonly #urgent: Link;
  readonly #ahead: Link;
  readonly #comparing: Link;
  readonly #idle: NodeJS.Timeout;
  #control: Control | undefined;
  #state: PagerState = PagerState.starting;
  #error: HoldfastError | undefined;
  #paging: Paging | StorePaging | undefined;
  /** From the order to serve on: ends it. */
  #serving: AbortController | undefined;
  #keeping: NodeJS.Timeout | undefined;
  #stopped = false;
  #ending = false;

  constructor(settings: PagerSettings) {
    this.#settings = settings;
    const link = () => new Link({ url: settings.sourceUrl, tls: settings.tls });
    this.#urgent = link();
    this.#ahead = link();
    this.#comparing = link();
    this.#idle = setTimeout(() => void this.end(PagerState.stopped), SERVE_WITHIN_MS);
  }

  async start(): Promise<void> {
    goFirst(); // The app stands still for every page that it waits for.
    this.#control = await Control.listen(path.join(this.#settings.workDir, PagerFile.socket), {
      status: () => this.#status(),
      onOrder: (order) => this.#obey(order),
    });
    process.stdout.write('listens\n');
    await this.#connect();
    this.#keeping = setInterval(() => {
      this.#connect().catch(() => {}); // The first question will try again, and tell.
    }, KEEP_READY_MS);
    if (this.#state === PagerState.starting) this.#enter(PagerState.ready);
  }

  /** The end, however it came about. */
  async end(state: PagerState, error?: HoldfastError): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    clearTimeout(this.#idle);
    clearInterval(this.#keeping);
    for (const link of this.#links) link.close();
    this.#error = error;
    this.#state = state;
    try {
      // On record before it is said, and said before this process is gone.
      const file = path.join(this.#settings.workDir, PagerFile.end);
      await writeFile(`${file}.new`, JSON.stringify(this.#status()), { mode: 0o600 });
      await rename(`${file}.new`, file);
    } catch (cause) {
      console.error('its end could not be put on record', cause); // The directory is gone, or full.
    }
    await this.#control?.close();
    process.exit(state === PagerState.failed ? 1 : 0);
  }

  /** Something failed that nobody waits for. */
  fail(error: unknown): void {
    console.error(error);
    const told = error instanceof HoldfastError ? error : pagerFailed(String(error), error);
    this.#giveUp(PagerState.failed, told);
  }

  /** What serves makes its end itself: those it serves are killed first, and no daemon is left behind. */
  #giveUp(state: typeof PagerState.failed | typeof PagerState.stopped, error?: HoldfastError): void {
    if (this.#serving) {
      this.#stopped ||= state === PagerState.stopped;
      this.#serving.abort(error ?? pagerFailed('it was told to stop'));
    } else {
      void this.end(state, error);
    }
  }

  #obey(order: PagerOrder): void {
    if ('serve' in order) {
      if (!this.#serving) void this.#serve(order.serve); // Else it was told before.
    } else {
      this.#giveUp(PagerState.stopped);
    }
  }

  async #serve(order: { imagesDir: string; cgroupDir: string }): Promise<void> {
    this.#serving = new AbortController();
    clearTimeout(this.#idle);
    clearInterval(this.#keeping);
    const { workDir, migrationId, stallMs } = this.#settings;
    try {
      const memory = await LazyMemory.read(order.imagesDir);
      this.#paging =
        memory.pages === 0
          ? await StorePaging.begin(memory, { ...order, workDir })
          : await Paging.begin(memory, {
              ...order,
              workDir,
              stallMs,
              path: `/v1/migrations/${migrationId}/memory`,
              urgent: this.#urgent,
              ahead: this.#ahead,
              comparing: this.#comparing,
              onServing: () => this.#enter(PagerState.serving),
            });
      this.#enter(PagerState.listening);
      await this.#paging.run(this.#serving.signal);
      await this.end(PagerState.complete);
    } catch (error) {
      const told = error instanceof HoldfastError ? error : pagerFailed(String(error), error);
      if (this.#stopped) await this.end(PagerState.stopped);
      else await this.end(PagerState.failed, told);
    }
  }

  async #connect(): Promise<void> {
    const signal = AbortSignal.timeout(CONNECT_MS);
    await Promise.all(this.#links.map((link) => link.open(signal)));
  }

  get #links(): readonly Link[] {
    return [this.#urgent, this.#ahead, this.#comparing];
  }

  #enter(state: PagerState): void {
    this.#state = state;
    this.#control?.tell();
  }

  #status(): PagerStatus {
    return {
      state: this.#state,
      figures: this.#paging?.figures ?? NO_FIGURES,
      ...(this.#error ? { error: toErrorBody(this.#error) } : {}),
    };
  }
}

async function readInput(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const part of process.stdin) text += part;
  return text;
}

// Whoever ends a service sends these to all of it. Only an order ends a pager: an app's memory rests on it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.stdout.on('error', () => {}); // The agent has heard what it waited for, or is gone.
const pager = new PagerProcess(parseSettings(await readInput()));
process.on('uncaughtException', (error) => pager.fail(error));
process.on('unhandledRejection', (error) => pager.fail(error));
await pager.start();
