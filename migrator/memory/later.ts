import type { Pagemap, PageRun } from '../criu/pagemap.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { isLeft } from './left-memory.ts';

const MIB = 1024 * 1024;
/** Restored before the app runs on, of what it touches first: a page that is missing then takes many times as long. */
export const EAGER_BYTES = { store: 8 * MIB, source: 32 * MIB } as const;
/** How long the frozen app may wait for what has changed, so that none of it has to follow, … */
const CHANGED_MS = 250;
/** … how much that may be, which has to be restored as well, … */
const CHANGED_BYTES = 32 * MIB;
/** … and how much there may be to read for that, once CRIU is done. */
const UNREAD_BYTES = 1024 * MIB;

/** What was learnt of frozen memory while CRIU worked on it. */
export interface Looked {
  /** Pages that are as they were sent ahead. */
  samePages: number;
  changedPages: number;
  /** Those in places that stand for all. */
  readonly sample: { pages: number; changedPages: number };
}

export function nothingLooked(): Looked {
  return { samePages: 0, changedPages: 0, sample: { pages: 0, changedPages: 0 } };
}

/** Which part of a frozen container's memory follows when the app runs on at the other end, and where from. */
export interface Later {
  /**
   * `store`: all of it is there by then, and whatever follows was sent ahead and holds. `source`: it stays in the frozen
   * processes, and whether what was sent ahead holds is found out later.
   */
  readonly from: 'store' | 'source';
  /** Restored before the app runs on: with `source`, as far as their pages are at the other end already. */
  readonly eager: ReadonlySet<PageRun>;
}

/** How much may be sent of what has changed, so that none of it has to follow. */
export function mostChangedBytes(rateBpms: number): number {
  return Math.min(rateBpms * CHANGED_MS, CHANGED_BYTES);
}

/** Whether the frozen app waits until all that has changed is over. */
export function isSoonOver(changedBytes: number, unreadBytes: number, rateBpms: number): boolean {
  return changedBytes <= mostChangedBytes(rateBpms) && unreadBytes <= UNREAD_BYTES;
}

/**
 * Where the app waits a moment longer for what has changed, it needs its source no more, and its pages come from its own
 * host ten times as fast. Where that would take too long, as with much memory or much that is written, it does not wait.
 *
 * @param rateBpms at which what has changed goes over
 */
export function chooseLater(pagemaps: Iterable<Pagemap>, looked: Looked, rateBpms: number): Later {
  const left = [...pagemaps].flatMap(({ runs }) => runs.filter(isLeft));
  const leftPages = left.reduce((sum, { pages }) => sum + pages, 0);
  const unreadPages = Math.max(0, leftPages - looked.samePages - looked.changedPages);
  // Where nothing was looked at, all of it may have changed.
  const changedShare = looked.sample.pages === 0 ? 1 : looked.sample.changedPages / looked.sample.pages;
  const changedPages = looked.changedPages + unreadPages * changedShare;
  const isSoon = isSoonOver(changedPages * PAGE_BYTES, unreadPages * PAGE_BYTES, rateBpms);
  const from = isSoon ? 'store' : 'source';
  return { from, eager: shortest(left, EAGER_BYTES[from] / PAGE_BYTES) };
}

/** What every request of an app touches lies in many small areas, its masses of data in few large ones. */
function shortest(runs: readonly PageRun[], mostPages: number): ReadonlySet<PageRun> {
  const chosen = new Set<PageRun>();
  let pages = 0;
  for (const run of [...runs].sort((a, b) => a.pages - b.pages)) {
    pages += run.pages;
    if (pages > mostPages) break;
    chosen.add(run);
  }
  return chosen;
}
