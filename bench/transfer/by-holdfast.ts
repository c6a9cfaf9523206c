import { setTimeout as delay } from 'node:timers/promises';
import { anySignal } from '../../migrator/any-signal.ts';
import { Outcome, Step } from '../../migrator/events.ts';
import type { EndedEvent } from '../../test/system/admin.ts';
import { nowMs } from '../../test/workload/exchange.ts';
import { RemoteLoad } from '../../test/workload/remote-load.ts';
import type { Window } from '../../test/workload/report.ts';
import type { Measured } from './measurement.ts';
import type { Stage } from './stage.ts';

const MOVE_TIMEOUT_MS = 400_000;
/** Two apps are visited at once. */
const VISITS_PER_S = 500;
const CLIENTS = 16;
const TIMEOUT_MS = 30_000;
const SETTLE_MS = 1_500;
const FLOWING_TIMEOUT_MS = 60_000;

type Seen = Pick<Measured, 'blackoutMs' | 'failed' | 'lost'>;
type Told = Omit<Measured, keyof Seen>;

/** The moves of one app by the gateway, there and back, under one load: it knows every visit that the app has ever had. */
export class Moves {
  readonly #stage: Stage;
  readonly #app: string;
  readonly #load: RemoteLoad;
  readonly #made: { readonly told: Told; readonly window: Window }[] = [];

  private constructor(stage: Stage, app: string, load: RemoteLoad) {
    this.#stage = stage;
    this.#app = app;
    this.#load = load;
  }

  /** @param host the header by which the gateway knows the app. Whoever gets it must `stop` it. */
  static async of(stage: Stage, app: string, host?: string): Promise<Moves> {
    const load = await RemoteLoad.start({
      url: stage.system.url,
      ...(host === undefined ? {} : { host }),
      ...{ ratePerS: VISITS_PER_S, clients: CLIENTS, timeoutMs: TIMEOUT_MS, postShare: 0 },
    });
    return new Moves(stage, app, load);
  }

  async make(to: string, strategy: string, signal: AbortSignal): Promise<void> {
    await delay(SETTLE_MS, undefined, { signal });
    const { meter } = this.#stage;
    const bytesBefore = await meter.bytes();
    const fromMs = nowMs();
    const { ended, lastPassMs } = await move(this.#stage, { app: this.#app, to, strategy }, signal);
    await this.#load.flowing(FLOWING_TIMEOUT_MS);
    const window = { fromMs, toMs: nowMs() };
    const all = (await meter.bytes()) - bytesBefore;
    const { figures, predicted = null } = ended;
    const { layerBytes = 0, fileBytes = 0, bytesSent, frozenMs = null, holdMs = null, totalMs } = figures;
    const memory = bytesSent === undefined ? null : bytesSent - layerBytes - fileBytes;
    const bytes = { image: layerBytes, files: fileBytes, memory, all };
    const told = { bytes, frozenMs, engineMs: null, holdMs, totalMs, lastPassMs, predicted };
    this.#made.push({ told, window });
  }

  /** End the load and hold every answer against what the app knows. @returns the moves, as they were made */
  async finish(): Promise<Measured[]> {
    const { windows, total } = await this.#load.finish(this.#made.map(({ window }) => window));
    if (total.corrupted > 0) throw new Error(`${total.corrupted} answers are garbled`);
    return this.#made.map(({ told }, nth) => {
      const seen = windows[nth];
      if (seen === undefined) throw new Error('the load reported too few windows');
      return { ...told, blackoutMs: seen.blackoutMs, failed: seen.failed, lost: seen.lost };
    });
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    await this.#load.stop();
  }
}

/** @throws unless the app runs at its destination in the end */
export async function move(
  stage: Stage,
  order: { readonly app: string; readonly to: string; readonly strategy: string },
  asked: AbortSignal,
): Promise<{ ended: EndedEvent; lastPassMs: number | null }> {
  const { admin } = stage.system;
  const signal = anySignal([asked, AbortSignal.timeout(MOVE_TIMEOUT_MS)]);
  const { id } = (await admin.call('POST', '/v1/migrations', order)) as { id: string };
  let lastPassMs: number | null = null;
  for await (const event of admin.events(id, signal)) {
    if (event.type === 'step-finished' && event.step === Step.send) {
      lastPassMs = event.detail?.lastPassMs ?? null;
    }
    if (event.type !== 'ended') continue;
    if (event.outcome === Outcome.succeeded) return { ended: event, lastPassMs };
    throw new Error(`${event.outcome}: ${event.error?.message}`);
  }
  throw new Error(`the events of migration ${id} broke off before its end`);
}
