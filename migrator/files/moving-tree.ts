import { tmpdir } from 'node:os';
import type { Duplex } from 'node:stream';
import { HoldfastError } from '../errors.ts';
import type { ChangeSource, TreeLog } from './change-source.ts';
import { listingOf } from './listing-of.ts';
import { ReadyPass } from './ready-pass.ts';
import { type CrossedBytes, type Pass, type SendOptions, sendPass } from './send-pass.ts';
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
  /**
   * While the app runs: go by what was told, and leave it to another pass to look whether that is all. There is one at the
   * freeze, or has been one before.
   */
  readonly briefly?: boolean;
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
  #ready: ReadyPass | undefined;

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

  /**
   * Shortly before the freeze: have all of the next pass ready but what it is to send.
   *
   * @param open as for `pass`
   * @param signal it stays ready until this fires, or the next pass; without it that one begins like any other
   * @throws HoldfastError `LINK_BROKEN`, `PROGRAM_MISSING`, what `open` throws
   */
  async getReady(open: () => Promise<Duplex>, signal: AbortSignal): Promise<void> {
    await this.#ready?.drop();
    this.#ready = await ReadyPass.begin(this.#dir, await open(), signal);
  }

  /** Nothing is watched any more, and nothing stands ready. */
  async close(): Promise<void> {
    await Promise.all([this.#ready?.drop(), this.#changes.close()]);
    this.#ready = undefined;
  }

  async #passOnce(open: () => Promise<Duplex>, options: PassOptions): Promise<CrossedBytes> {
    const { running, briefly = false, signal, also = [] } = options;
    const ready = this.#ready;
    this.#ready = undefined;
    let touched = this.#owed;
    try {
      const changes = await this.#changes.take(running && !briefly, signal);
      const whole = this.#wholeIsDue || changes.mayBeMore;
      // After a whole pass too: it takes a file for the same by size and time, which a program may have set back.
      touched = new Set([...changes.touched, ...also, ...this.#owed]);
      const appeared = whole ? [] : changes.appeared;
      const listing = await listingOf(this.#dir, { touched, appeared }, this.#changes.links, signal);
      const sent = await this.#send(open, ready, { whole, listing }, options);
      this.#wholeIsDue = false;
      this.#owed = new Set();
      return sent;
    } catch (error) {
      this.#wholeIsDue = true;
      this.#owed = touched;
      throw error;
    } finally {
      await ready?.drop();
    }
  }

  /** What stands ready goes by a list, and knows nothing of holes. Where it is not needed it is seen to its end all the same. */
  async #send(
    open: () => Promise<Duplex>,
    ready: ReadyPass | undefined,
    pass: Pass,
    options: SendOptions,
  ): Promise<CrossedBytes> {
    const { whole, listing } = pass;
    const isEmpty = !whole && listing.paths.size === 0;
    const standing = ready?.stands ? ready : undefined;
    if (isEmpty) return (await standing?.dismiss(options.signal)) ?? NOTHING;
    if (standing !== undefined && !whole && listing.sparse.size === 0) return standing.send(listing, options);
    await standing?.dismiss(options.signal);
    return sendPass(this.#dir, await open(), pass, options);
  }
}
