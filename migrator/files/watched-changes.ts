import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChangeSource, Changes, TreeLog } from './change-source.ts';
import { find } from './find.ts';
import { addName, groupsOf, type LinkGroups } from './hard-links.ts';
import { Watch } from './watch.ts';

/** A watch that is up, and the directories that it may not see all of: they have come since, or while it was set up. */
interface Outlook {
  readonly watch: Watch;
  readonly doubtful: Set<string>;
}

/** More changes than these are not worth a list. */
const MOST_TOUCHED = 200_000;
const SET_UP_ATTEMPTS = 10;
/** Clocks of file systems tick, and those of servers differ. */
const CLOCK_SLACK_MS = 1_000;

/**
 * Changes that the kernel tells of, so that nobody has to look for them. Where that fails, what has happened is not known,
 * and the log says so.
 */
export class WatchedChanges implements ChangeSource {
  readonly links: LinkGroups = new Map();
  readonly #dir: string;
  readonly #log: TreeLog;
  readonly #scratchDir: string;
  #outlook: Outlook | undefined;
  #outlooks = 0;
  #touched = new Set<string>();
  #appeared = new Set<string>();
  #hasMissed = false;
  #lookedAtMs = Date.now();

  private constructor(dir: string, log: TreeLog, scratchDir: string) {
    this.#dir = dir;
    this.#log = log;
    this.#scratchDir = scratchDir;
  }

  /** @param scratchDir for a directory of its own, which goes with it; not in `dir` */
  static async begin(
    dir: string,
    scratchDir: string,
    log: TreeLog,
    signal: AbortSignal,
  ): Promise<WatchedChanges> {
    const changes = new WatchedChanges(dir, log, await mkdtemp(join(scratchDir, 'watch-')));
    try {
      await changes.#lookAnew(signal);
      return changes;
    } catch (error) {
      await changes.close();
      throw error;
    }
  }

  async take(running: boolean, signal: AbortSignal): Promise<Changes> {
    if (running) {
      // While the app stands still, what is in doubt is looked through just as well.
      if (this.#outlook === undefined || this.#outlook.doubtful.size > 0) await this.#lookAnew(signal);
      await this.#lookAtTimes(signal);
    }
    await hearOut(this.#outlook?.watch, signal);
    const mayBeMore = this.#outlook === undefined || this.#hasMissed;
    const appeared = new Set([...this.#appeared, ...(this.#outlook?.doubtful ?? [])]);
    const changes = { touched: this.#touched, appeared, mayBeMore };
    this.#touched = new Set();
    this.#appeared = new Set();
    this.#hasMissed = false;
    return changes;
  }

  async close(): Promise<void> {
    this.#outlook?.watch.stop();
    this.#outlook = undefined;
    await rm(this.#scratchDir, { recursive: true, force: true });
  }

  /**
   * Watch from now on with a watch that knows all directories there are. What is below one that came, or came under
   * another name, while it was set up stays in doubt.
   */
  async #lookAnew(signal: AbortSignal): Promise<void> {
    const before = await this.#walk(signal);
    const doubtful = new Set<string>();
    const former = this.#outlook;
    this.#outlook = await this.#watch(doubtful, signal);
    if (this.#outlook !== undefined) {
      const now = await this.#walk(signal);
      for (const [path, inode] of now.directories) {
        if (before.directories.get(path) !== inode) doubtful.add(path);
      }
      for (const [inode, names] of now.links) for (const name of names) addName(this.links, inode, name);
    }
    await hearOut(former?.watch, signal);
    former?.watch.stop();
    // What was in doubt until now is looked through once more.
    for (const path of former?.doubtful ?? []) this.#appeared.add(path);
  }

  /**
   * What has changed by the time the file system has for it: a file may have been written to by a name that was made for
   * that and is gone again, or as memory.
   */
  async #lookAtTimes(signal: AbortSignal): Promise<void> {
    const since = `@${(this.#lookedAtMs - CLOCK_SLACK_MS) / 1000}`;
    this.#lookedAtMs = Date.now();
    for (const path of await find(this.#dir, ['-newerct', since, '-printf', '%P\\0'], signal))
      this.#touch(path);
  }

  #touch(path: string): void {
    if (this.#touched.size >= MOST_TOUCHED) {
      this.#touched.clear();
      this.#hasMissed = true;
    }
    this.#touched.add(path);
  }

  async #watch(doubtful: Set<string>, signal: AbortSignal): Promise<Outlook | undefined> {
    const listener = {
      onTouched: (path: string) => this.#touch(path),
      onAppeared: (path: string) => {
        this.#appeared.add(path);
        doubtful.add(path);
      },
      onLost: (why: string) => {
        this.#hasMissed = true;
        if (this.#outlook?.doubtful === doubtful) this.#outlook = undefined;
        this.#log.warn(
          { dir: this.#dir, why },
          'changes of files were missed: the next pass looks at all of them',
        );
      },
    };
    for (let attempt = 1; ; attempt++) {
      const markerDir = join(this.#scratchDir, String(++this.#outlooks));
      await mkdir(markerDir);
      try {
        return { watch: await Watch.start(this.#dir, markerDir, listener, signal), doubtful };
      } catch (error) {
        signal.throwIfAborted();
        const why = (error as Error).message;
        // inotifywait stumbles over directories that go while it sets itself up.
        if (attempt < SET_UP_ATTEMPTS && /No such file or directory/.test(why)) continue;
        this.#log.warn({ dir: this.#dir, why }, 'files cannot be watched: every pass looks at all of them');
        return undefined;
      }
    }
  }

  async #walk(signal: AbortSignal): Promise<{ directories: Map<string, string>; links: LinkGroups }> {
    const records = await find(
      this.#dir,
      ['-type', 'd', '-printf', 'd%i %P\\0', '-o', '-links', '+1', '-printf', 'l%i %P\\0'],
      signal,
    );
    const directories = new Map<string, string>();
    for (const record of records) {
      if (record[0] !== 'd') continue;
      const blank = record.indexOf(' ');
      directories.set(record.slice(blank + 1), record.slice(1, blank));
    }
    const links = groupsOf(records.filter((record) => record[0] === 'l').map((record) => record.slice(1)));
    return { directories, links };
  }
}

/** Until it has told everything that has happened. One that cannot any more has said so. */
async function hearOut(watch: Watch | undefined, signal: AbortSignal): Promise<void> {
  try {
    await watch?.caughtUp(signal);
  } catch {
    signal.throwIfAborted();
  }
}
