import { tmpdir } from 'node:os';
import type { Duplex } from 'node:stream';
import { HoldfastError } from '../errors.ts';
import type { ChangeSource, TreeLog } from './change-source.ts';
import { listingOf } from './listing-of.ts';
import { type CrossedBytes, type SendOptions, sendPass } from './send-pass.ts';
import { WalkedChanges } from './walked-changes.ts';
import { WatchedChanges } from './watched-changes.ts';

export interface TreeOptions {
  readonly log: TreeLog;
  readonly signal: AbortSignal;
  /**
   * Find changes by looking at every file rather than by being told: for small trees, and for those that nobody is told
   * of, like the layer that overlayfs writes to.
   */
  readonly walk?: boolean;
  /** Where a small directory may be made for as long as the tree is open; the system's own when not given. */
  readonly scratchDir?: string;
}

export interface PassOptions extends SendOptions {
  /** Files to send whatever was seen: those that are written to without anybody being told, see mapped-files.ts. */
  readonly also?: Iterable<string>;
}

/** What comes apart under a running app's hands may hold together the next time. */
const ATTEMPTS = 3;
const NOTHING: CrossedBytes = { sentBytes: 0, receivedBytes: 0 };

/**
 * Source: a tree of files that goes to another host while it is used. Its changes are known from before its first pass, so
 * that each later one sends what has changed since.
 */
export class MovingTree {
  readonly #dir: string;
  readonly #changes: ChangeSource;
  /** The destination may be in any state: nothing was sent yet, or a pass failed. */
  #wholeIsDue = true;
  /** What happened before a pass that failed. */
  #owed = new Set<string>();

  private constructor(dir: string, changes: ChangeSource) {
    this.#dir = dir;
    this.#changes = changes;
  }

  /** @param dir an absolute path */
  static async open(
    dir: string,
    { log, signal, walk = false, scratchDir = tmpdir() }: TreeOptions,
  ): Promise<MovingTree> {
    return new MovingTree(
      dir,
      walk ? new WalkedChanges(dir) : await WatchedChanges.begin(dir, scratchDir, log, signal),
    );
  }

  /**
   * Bring the destination to what the tree is now, or was when something was written after this began. When this fails,
   * the next pass is a whole one.
   *
   * @param open called when there is something to send, for a stream whose other end is in `receiveTree`; while the app
   * runs it may be called again, when what was sent fell apart
   * @throws what `sendPass` throws
   */
  async pass(open: () => Promise<Duplex>, options: PassOptions): Promise<CrossedBytes> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#passOnce(open, options);
      } catch (error) {
        const fellApart = error instanceof HoldfastError && error.code === 'FILES_UNSETTLED';
        if (!options.running || !fellApart || attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Nothing is watched any more. */
  async close(): Promise<void> {
    await this.#changes.close();
  }

  async #passOnce(open: () => Promise<Duplex>, options: PassOptions): Promise<CrossedBytes> {
    const { running, signal, also = [] } = options;
    const changes = await this.#changes.take(running, signal);
    const whole = this.#wholeIsDue || changes.mayBeMore;
    // After a whole pass too: it takes a file for the same by size and time, which a program may have set back.
    const touched = new Set([...changes.touched, ...also, ...this.#owed]);
    const appeared = whole ? [] : changes.appeared;
    try {
      const listing = await listingOf(this.#dir, { touched, appeared }, this.#changes.links, signal);
      if (!whole && listing.paths.size === 0) return NOTHING;
      const sent = await sendPass(this.#dir, await open(), { whole, listing }, options);
      this.#wholeIsDue = false;
      this.#owed = new Set();
      return sent;
    } catch (error) {
      this.#wholeIsDue = true;
      this.#owed = touched;
      throw error;
    }
  }
}
