import type { ChangeSource, Changes } from './change-source.ts';
import { find } from './find.ts';
import { addName, type LinkGroups } from './hard-links.ts';

/** A file written to in the tick of the clock in which it was looked at keeps its time. */
const TICK_MS = 50;

/**
 * Changes found by looking at every file's inode and time of change, each time: right for trees that are small, or that
 * cannot be watched. So it is with the layer that overlayfs writes to: it writes there without anybody being told.
 */
export class WalkedChanges implements ChangeSource {
  readonly links: LinkGroups = new Map();
  readonly #dir: string;
  /** By path: inode and time of change, in seconds with a fraction. */
  #known: Map<string, string> | undefined;
  #walkedAtMs = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async take(_running: boolean, signal: AbortSignal): Promise<Changes> {
    const known = this.#known;
    const sinceMs = this.#walkedAtMs - TICK_MS;
    this.#walkedAtMs = Date.now();
    this.#known = new Map();
    const touched = new Set<string>();
    for (const record of await find(this.#dir, ['-printf', '%n %y %i %C@ %P\\0'], signal)) {
      const [links, type, inode = '', changedAt = ''] = record.split(' ', 4);
      const path = record.slice(`${links} ${type} ${inode} ${changedAt} `.length);
      const mark = `${inode} ${changedAt}`;
      this.#known.set(path, mark);
      if (type !== 'd' && Number(links) > 1) addName(this.links, inode, path);
      if (known?.get(path) !== mark || Number(changedAt) * 1000 >= sinceMs) touched.add(path);
    }
    for (const path of known?.keys() ?? []) if (!this.#known.has(path)) touched.add(path);
    // A pass may have met files that came after one walk and went before the next.
    return { touched: known === undefined ? new Set() : touched, appeared: new Set(), mayBeMore: true };
  }

  async close(): Promise<void> {}
}
