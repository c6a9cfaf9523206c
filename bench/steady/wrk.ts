import { fileURLToPath } from 'node:url';
import { anySignal } from '../../migrator/any-signal.ts';
import { run } from '../../migrator/process.ts';
import type { Load } from './measurement.ts';

export interface WrkOptions {
  readonly url: string;
  /** The core it keeps to. */
  readonly core: number;
  readonly connections: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

const GRACE_MS = 10_000;
const SCRIPT = fileURLToPath(new URL('../wrk/steady.lua', import.meta.url));

/** As many requests as can be had for so long: each connection asks again as soon as it is answered. */
export async function runWrk({ url, core, connections, seconds, signal }: WrkOptions): Promise<Load> {
  const args = ['-c', String(core), 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', SCRIPT, url];
  const { stdout } = await run('taskset', args, {
    signal: anySignal([signal, AbortSignal.timeout(seconds * 1_000 + GRACE_MS)]),
  });
  return readWrk(stdout);
}

/** @throws when wrk/steady.lua has not had its say */
export function readWrk(output: string): Load {
  const counts = /^holdfast-wrk (.*)$/m.exec(output)?.[1];
  if (counts === undefined) throw new Error(`wrk gave no counts:\n${output}`);
  const all = JSON.parse(counts) as Record<string, number>;
  const { requests = 0, durationUs = 0, p50Us = 0, p99Us = 0, ...errors } = all;
  return {
    requests,
    requestsPerS: requests / (durationUs / 1e6),
    p50Ms: p50Us / 1_000,
    p99Ms: p99Us / 1_000,
    errors: Object.values(errors).reduce((sum, one) => sum + one, 0),
  };
}
