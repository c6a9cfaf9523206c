import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { processCpuMs } from '../process-cpu.ts';
import type { Cores } from './cores.ts';
import type { Measurement } from './measurement.ts';
import { placeOf } from './place.ts';
import type { ProxyKind, Running } from './proxies.ts';
import { runWrk } from './wrk.ts';

/** For programs that compile themselves to have done so. */
const WARM_UP_S = 2;

export interface MeasureOptions {
  readonly cores: Cores;
  readonly connections: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** A proxy that is up and stands still, but for the time in which it is measured. */
export class Contender {
  readonly kind: ProxyKind;
  readonly #url: string;
  readonly #running: Running;

  private constructor(kind: ProxyKind, url: string, running: Running) {
    this.kind = kind;
    this.#url = url;
    this.#running = running;
  }

  /** Whoever starts it must `stop` it. `index` is its own among all that are up. */
  static async start(
    kind: ProxyKind,
    index: number,
    { dir, ...options }: Omit<MeasureOptions, 'seconds'> & { readonly dir: string },
  ): Promise<Contender> {
    const own = path.join(dir, kind.key);
    await mkdir(own);
    const place = placeOf(index);
    const running = await kind.start({ dir: own, core: options.cores.proxy, place });
    const contender = new Contender(kind, `http://${place.users}/`, running);
    try {
      await contender.#load({ ...options, seconds: kind.warmUpS ?? WARM_UP_S });
      contender.#signal('SIGSTOP');
      return contender;
    } catch (error) {
      await contender.stop();
      throw error;
    }
  }

  async measure(options: MeasureOptions): Promise<Omit<Measurement, 'proxy' | 'round'>> {
    const { signal } = options;
    this.#signal('SIGCONT');
    try {
      const throughBefore = await this.#running.throughNode?.(signal);
      const cpuBeforeMs = this.#cpuMs();
      const startedMs = performance.now();
      const seen = await this.#load(options);
      const lastedMs = performance.now() - startedMs;
      const usedMs = this.#cpuMs() - cpuBeforeMs;
      const through = await this.#running.throughNode?.(signal);
      return {
        ...seen,
        cpuUsPerRequest: (usedMs * 1_000) / seen.requests,
        busy: usedMs / lastedMs,
        throughNode: through === undefined || throughBefore === undefined ? null : through - throughBefore,
      };
    } finally {
      this.#signal('SIGSTOP');
    }
  }

  async stop(): Promise<void> {
    this.#signal('SIGCONT');
    await this.#running.stop();
  }

  #load({ cores, connections, seconds, signal }: MeasureOptions) {
    return runWrk({ url: this.#url, core: cores.load, connections, seconds, signal });
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const pid of this.#running.pids()) process.kill(pid, signal);
  }

  #cpuMs(): number {
    return this.#running.pids().reduce((sum, pid) => sum + processCpuMs(pid), 0);
  }
}
