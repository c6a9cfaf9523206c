import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PageFlag, parsePagemap } from '../criu/pagemap.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';

/** Lazy pages that follow one another in a process's memory. */
export interface LazyRun {
  readonly pid: number;
  readonly address: number;
  readonly pages: number;
  /** The number of its first page: all lazy pages of a checkpoint are numbered, process by process. */
  readonly first: number;
}

/** What is at the source still: which pages of which processes, by the pids they have inside the container. */
export class LazyMemory {
  readonly pages: number;
  /** Lazy pages that are not: what was sent ahead of them holds. */
  readonly pagesInStore: number;
  readonly runs: readonly LazyRun[];
  readonly #runsOf: ReadonlyMap<number, readonly LazyRun[]>;

  private constructor(runs: readonly LazyRun[], pages: number, pagesInStore: number) {
    this.runs = runs;
    this.pages = pages;
    this.pagesInStore = pagesInStore;
    const runsOf = new Map<number, LazyRun[]>();
    for (const run of runs) {
      const others = runsOf.get(run.pid);
      if (others) others.push(run);
      else runsOf.set(run.pid, [run]);
    }
    this.#runsOf = runsOf;
  }

  /** Read it from the pagemaps of a checkpoint. @throws HoldfastError `IMAGES_DAMAGED` */
  static async read(imagesDir: string): Promise<LazyMemory> {
    const runs: LazyRun[] = [];
    let pages = 0;
    let pagesInStore = 0;
    for (const [pid, file] of await pagemapsIn(imagesDir)) {
      for (const run of parsePagemap(await readFile(file)).runs) {
        if ((run.flags & PageFlag.lazy) === 0 || (run.flags & PageFlag.present) !== 0) continue;
        if ((run.flags & PageFlag.parent) !== 0) {
          pagesInStore += run.pages;
          continue;
        }
        runs.push({ pid, address: run.address, pages: run.pages, first: pages });
        pages += run.pages;
      }
    }
    return new LazyMemory(runs, pages, pagesInStore);
  }

  /** The number of a page; undefined when it is not a lazy one. */
  find(pid: number, address: number): number | undefined {
    const run = lastFrom(this.#runsOf.get(pid) ?? [], (candidate) => candidate.address <= address);
    if (run === undefined || address >= run.address + run.pages * PAGE_BYTES) return undefined;
    return run.first + Math.floor((address - run.address) / PAGE_BYTES);
  }

  /** The run a page is in. */
  runOf(page: number): LazyRun {
    const run = lastFrom(this.runs, ({ first }) => first <= page);
    if (run === undefined || page >= this.pages) throw new RangeError(`page ${page} of ${this.pages}`);
    return run;
  }
}

/** The processes of a checkpoint that have memory, and their pagemaps. */
export async function pagemapsIn(dir: string): Promise<[pid: number, file: string][]> {
  const names = await readdir(dir);
  return names
    .map((name): [number, string] => [Number(/^pagemap-(\d+)\.img$/.exec(name)?.[1]), path.join(dir, name)])
    .filter(([pid]) => !Number.isNaN(pid))
    .sort(([a], [b]) => a - b);
}

/** The last of an ordered list for which `holds`, which is true up to some point and false from there. */
export function lastFrom<T>(list: readonly T[], holds: (element: T) => boolean): T | undefined {
  let from = 0;
  let to = list.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (holds(list[middle] as T)) from = middle + 1;
    else to = middle;
  }
  return list[from - 1];
}
