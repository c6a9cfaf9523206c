import type { Agent } from './agents.ts';
import { HoldfastError } from './errors.ts';

/** A range of addresses, in hexadecimal, is as long as the agents sum at a time. */
const RANGE_BYTES = 1024 * 1024;

export interface Verified {
  readonly processes: number;
  readonly verifiedBytes: number;
}

/**
 * Hold the memory of the frozen source against that of the destination, where nothing has run yet.
 *
 * @throws HoldfastError `MEMORY_DIFFERS`, with the process and the addresses
 */
export async function verifyMemory(
  order: { readonly id: string },
  source: Agent,
  destination: Agent,
  signal: AbortSignal,
): Promise<Verified> {
  const { id } = order;
  const [{ processes: dumped }, { processes: restored }] = await Promise.all([
    source.sums(id, signal),
    destination.sums(id, signal),
  ]);
  const sumsThere = new Map(restored.map(({ pid, sum }) => [pid, sum]));
  for (const { pid, sum } of dumped) {
    const there = sumsThere.get(pid);
    if (there === undefined) throw memoryDiffers(`process ${pid} is not at ${destination.host}`);
    if (there !== sum) throw memoryDiffers(await where(id, pid, source, destination, signal));
  }
  const known = new Set(dumped.map(({ pid }) => pid));
  const extra = restored.find(({ pid }) => !known.has(pid));
  if (extra !== undefined) throw memoryDiffers(`process ${extra.pid} is at ${destination.host} alone`);
  return {
    processes: dumped.length,
    verifiedBytes: dumped.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

async function where(
  id: string,
  pid: number,
  source: Agent,
  destination: Agent,
  signal: AbortSignal,
): Promise<string> {
  const [here, there] = await Promise.all(
    [source, destination].map(async (agent) => {
      const { ranges } = await agent.rangeSums(id, pid, signal);
      return new Map(ranges.map(({ start, sum }) => [start, sum]));
    }),
  );
  const starts = new Set([...(here?.keys() ?? []), ...(there?.keys() ?? [])]);
  const differing = [...starts].filter((start) => here?.get(start) !== there?.get(start));
  const [first] = differing;
  if (first === undefined) return `process ${pid} has other memory at ${destination.host}`;
  const end = (Number.parseInt(first, 16) + RANGE_BYTES).toString(16);
  const more = differing.length > 1 ? ` and ${differing.length - 1} more ranges` : '';
  return `process ${pid} has other memory at ${destination.host}, in ${first}-${end}${more}`;
}

function memoryDiffers(what: string): HoldfastError {
  return new HoldfastError('MEMORY_DIFFERS', what, {
    mend: 'the app runs on at its source; check the memory of both hosts, and report this with the journal',
  });
}
