import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { processCpuMs } from '../process-cpu.ts';
import type { Cores } from './cores.ts';
import type { Measurement } from './measurement.ts';
import { At } from './place.ts';
import type { ProxyKind, Running } from './proxies.ts';
import { runWrk } from './wrk.ts';

/** For connections to be opened, and for programs that compile themselves to have done so. */
const WARM_UP_S = 1;

export interface MeasureOptions {
  readonly dir: string;
  readonly cores: Cores;
  readonly connections: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Start a proxy, load it, and end it. */
export async function measure(
  proxy: ProxyKind,
  { dir, cores, connections, seconds, signal }: MeasureOptions,
): Promise<Omit<Measurement, 'proxy' | 'round'>> {
  const own = await mkdtemp(path.join(dir, `${proxy.key}-`));
  const load = { url: `http://${At.users}/`, core: cores.load, connections, signal };
  let running: Running | undefined;
  try {
    running = await proxy.start({ dir: own, core: cores.proxy });
    await runWrk({ ...load, seconds: WARM_UP_S });
    const pids = running.pids();
    const throughBefore = await running.throughNode?.(signal);
    const before = cpuMs(pids);
    const startedMs = performance.now();
    const seen = await runWrk({ ...load, seconds });
    const lastedMs = performance.now() - startedMs;
    const usedMs = cpuMs(pids) - before;
    const through = await running.throughNode?.(signal);
    return {
      ...seen,
      cpuUsPerRequest: (usedMs * 1_000) / seen.requests,
      busy: usedMs / lastedMs,
      throughNode: through === undefined || throughBefore === undefined ? null : through - throughBefore,
    };
  } finally {
    await running?.stop();
    await rm(own, { recursive: true, force: true });
  }
}

function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + processCpuMs(pid), 0);
}
