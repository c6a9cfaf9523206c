import type { Pagemap, PageRun } from '../criu/pagemap.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { isLeft } from './left-memory.ts';

const MIB = 1024 * 1024;
/** Restored before the app runs on, of what it touches first: a page that is missing then takes many times as long. */
const EAGER_BYTES = { store: 8 * MIB, source: 32 * MIB } as const;
/** How long the frozen app may wait for what has changed, so that none of it has to follow … */
const CHANGED_MS = 250;
/** … and how much there may be to read for that, once CRIU is done. */
const UNREAD_BYTES = 256 * MIB;

/** What was learnt of frozen memory while CRIU worked on it. */
export interface Looked {
  /** Pages that are as they were sent ahead. */
  samePages: number;
  changedPages: number;
}

/** Which part of a frozen container's memory follows when the app runs on at the other end, and where from. */
export interface Later {
  /**
   * `store`: all of it is there by then, and whatever follows was sent ahead and holds. `source`: it stays in the frozen
   * processes, and whether what was sent ahead holds is found out later.
   */
  readonly from: 'store' | 'source';
  /** Pages that are restored before the app runs on, as far as that needs nothing from here. */
  readonly eager: ReadonlySet<PageRun>;
}

/** How much may be sent of what has changed before it is over whether the memory stays here. */
export function mostChangedBytes(rateBpms: number): number {
  return rateBpms * CHANGED_MS;
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
  const seenPages = looked.samePages + looked.changedPages;
  // As much as in what was looked at; where nothing was, all of it may have.
  const changedShare = seenPages === 0 ? 1 : looked.changedPages / seenPages;
  const changedPages = looked.changedPages + unreadPages * changedShare;
  const isSoon =
    changedPages * PAGE_BYTES <= mostChangedBytes(rateBpms) && unreadPages * PAGE_BYTES <= UNREAD_BYTES;
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
