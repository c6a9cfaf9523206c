import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from '../../test/workload/exchange.ts';
import { RemoteLoad } from '../../test/workload/remote-load.ts';
import type { Window, WindowReport } from '../../test/workload/report.ts';

const PROBES_PER_S = 1_000;
const CLIENTS = 32;
const TIMEOUT_MS = 30_000;
/** Load alone before the move, which the move is seen against. */
const SETTLE_MS = 1_500;
const AFTERWARDS_MS = 300;
const FLOWING_TIMEOUT_MS = 60_000;

type Seen = Pick<WindowReport, 'blackoutMs' | 'requests' | 'failed' | 'lost' | 'duplicated'>;

/** An open loop of 1,000 visits a second in a process of its own, all of which the app must know of at the end. */
export class Prober {
  readonly #load: RemoteLoad;
  readonly #signal: AbortSignal;
  #before: Window = { fromMs: 0, toMs: 0 };
  readonly #abort = () => void this.#load.stop();

  private constructor(load: RemoteLoad, signal: AbortSignal) {
    this.#load = load;
    this.#signal = signal;
    // Whatever it is waiting for then comes to an end.
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  static async start(at: { url: string; host?: string }, signal: AbortSignal): Promise<Prober> {
    const load = await RemoteLoad.start({
      ...at,
      ratePerS: PROBES_PER_S,
      clients: CLIENTS,
      timeoutMs: TIMEOUT_MS,
      postShare: 0,
    });
    return new Prober(load, signal);
  }

  /** Let the load run alone, to compare with. */
  async settle(): Promise<void> {
    const fromMs = nowMs();
    await delay(SETTLE_MS, undefined, { signal: this.#signal });
    this.#before = { fromMs, toMs: nowMs() };
  }

  async flowing(): Promise<void> {
    await this.#load.flowing(FLOWING_TIMEOUT_MS);
  }

  /** End the load and hold every answer against what the app knows. Faults count over the whole run. */
  async finish(windows: {
    move: Window;
    rounds?: Window;
  }): Promise<{ move: Seen; p99BeforeMs: number; p99RoundsMs: number | null }> {
    await delay(AFTERWARDS_MS, undefined, { signal: this.#signal });
    const { move, rounds } = windows;
    const all = [move, this.#before, ...(rounds === undefined ? [] : [rounds])];
    const { windows: reports, total } = await this.#load.finish(all);
    const [seen, before, during] = reports;
    if (seen === undefined || before === undefined) throw new Error('the prober reported no window');
    const { requests, failed, lost, duplicated, corrupted } = total;
    if (corrupted > 0) throw new Error(`${corrupted} answers are garbled`);
    return {
      move: { blackoutMs: seen.blackoutMs, requests, failed, lost, duplicated },
      p99BeforeMs: before.p99,
      p99RoundsMs: during?.p99 ?? null,
    };
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#abort);
    await this.#load.stop();
  }
}
