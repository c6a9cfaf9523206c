import { readFile } from 'node:fs/promises';

/** Shares of the time, 0 to 1, in which some task of the host waited for a processor, or for memory. */
export interface Pressure {
  readonly cpu: number;
  readonly memory: number;
}

/** What the kernel says of pressure (PSI, see Documentation/accounting/psi.rst), over the time since it was last asked. */
export class PressureGauge {
  #last: { readonly at: number; readonly cpuUs: number; readonly memoryUs: number } | undefined;

  /** Undefined the first time, and where the kernel does not tell. */
  async read(): Promise<Pressure | undefined> {
    const [cpuUs, memoryUs] = await Promise.all([stalledUs('cpu'), stalledUs('memory')]);
    const at = performance.now();
    const last = this.#last;
    if (cpuUs === undefined || memoryUs === undefined) return undefined;
    this.#last = { at, cpuUs, memoryUs };
    if (last === undefined) return undefined;
    const spanUs = Math.max(1, (at - last.at) * 1000);
    return { cpu: (cpuUs - last.cpuUs) / spanUs, memory: (memoryUs - last.memoryUs) / spanUs };
  }
}

async function stalledUs(of: 'cpu' | 'memory'): Promise<number | undefined> {
  const text = await readFile(`/proc/pressure/${of}`, 'utf8').catch(() => '');
  const total = /^some .*total=(\d+)$/m.exec(text)?.[1];
  return total === undefined ? undefined : Number(total);
}
