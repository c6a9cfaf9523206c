import { readdir } from 'node:fs/promises';
import { readRseq } from '../criu/core-image.ts';
import { innerPid } from '../memory/layout.ts';
import { type Area, ownAreas } from './areas.ts';
import { memoryUnreadable } from './errors.ts';
import type { RangeSums } from './range-sums.ts';
import { sumAreas, type Unsummed } from './sums.ts';

/** A process that stands still, and what is to be summed of it. */
interface Still {
  readonly pid: number;
  /** As it is called inside the container, at either end. */
  readonly pidInside: number;
  readonly areas: readonly Area[];
}

/**
 * Sum the memory of a container's processes, one after another in the order of their pids inside. Memory that several
 * share is summed with the first of them: were it no longer shared at the other end, more would be summed there.
 *
 * @param options.imagesDir the container's checkpoint, which tells where the kernel itself writes
 * @param options.only the one process of interest, by its pid inside
 */
export async function* sumContainer(
  pids: readonly number[],
  options: {
    readonly imagesDir: string;
    readonly ownMounts: readonly string[];
    readonly only?: number;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<{ pidInside: number; sums: RangeSums }> {
  const { imagesDir, ownMounts, only, signal } = options;
  for (const { pid, pidInside, areas } of await allStill(pids, ownMounts)) {
    if (only !== undefined && pidInside !== only) continue;
    const unsummed = await kernelWrites(pid, imagesDir);
    yield { pidInside, sums: await sumAreas(pid, areas, { unsummed, signal }) };
  }
}

async function allStill(pids: readonly number[], ownMounts: readonly string[]): Promise<Still[]> {
  const all: Still[] = [];
  for (const pid of pids) {
    const pidInside = await innerPid(pid);
    if (pidInside === undefined) throw memoryUnreadable(pid, new Error('it has ended'));
    all.push({ pid, pidInside, areas: await ownAreas(pid, ownMounts) });
  }
  all.sort((a, b) => a.pidInside - b.pidInside);
  const met = new Set<string>();
  return all.map((one) => ({ ...one, areas: one.areas.map((area) => onlyFirst(area, met)) }));
}

function onlyFirst(area: Area, met: Set<string>): Area {
  if (area.shared === undefined) return area;
  if (met.has(area.shared.key)) return { ...area, shared: undefined };
  met.add(area.shared.key);
  return area;
}

/** Where the kernel notes for each thread on which CPU it runs: at no two hosts the same. See rseq(2). */
async function kernelWrites(pid: number, imagesDir: string): Promise<Unsummed[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const tids = await Promise.all(tasks.map((task) => innerPid(Number(task))));
  const all: Unsummed[] = [];
  for (const tid of tids) {
    if (tid === undefined) continue;
    const rseq = await readRseq(imagesDir, tid);
    if (rseq !== undefined) all.push(rseq);
  }
  return all;
}
