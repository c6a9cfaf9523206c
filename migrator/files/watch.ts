import { type ChildProcess, spawn } from 'node:child_process';
import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { anySignal } from '../any-signal.ts';

/** What is worth a pass: content, attributes, names. Access times are not kept, so nobody needs to hear of reading. */
const HEARD = ['modify', 'attrib', 'create', 'delete', 'moved_from', 'moved_to'];
/** Not in inotifywait's manual, but without it what the kernel dropped would be lost without a word. */
const EVENTS = [...HEARD, 'q_overflow'].flatMap((name) => ['-e', name]);
const APPEARS = /CREATE|MOVED_TO/;
const OVERFLOW = /Q_OVERFLOW/;
const ESTABLISHED = /^Watches established/m;
const KEPT_WORDS = 4096;

export interface WatchListener {
  /** Something about this path, relative to the tree, as bytes in latin1; the tree's root is ''. */
  onTouched(path: string): void;
  /** A directory that was not there, or not under this name: what is below it may be watched or not. */
  onAppeared(path: string): void;
  /** From now on nothing can be said: too much happened at once, or the program that watches has ended. */
  onLost(why: string): void;
}

/**
 * One run of inotifywait(1) over a tree. It tells of everything that happens in directories that were there before it
 * was set up and stay where they are. In those that come later it may miss what happens before it has noticed them.
 */
export class Watch {
  readonly #child: ChildProcess;
  readonly #markerDir: string;
  readonly #listener: WatchListener;
  readonly #gone = new AbortController();
  readonly #awaited = new Map<string, () => void>();
  #markers = 0;
  #rest = '';
  #stopped = false;

  private constructor(child: ChildProcess, markerDir: string, listener: WatchListener) {
    this.#child = child;
    this.#markerDir = markerDir;
    this.#listener = listener;
  }

  /**
   * Settles when all directories are watched.
   *
   * @param markerDir an empty directory of ours, outside of the tree
   * @throws why it cannot be: no program, too many directories, …
   */
  static async start(
    dir: string,
    markerDir: string,
    listener: WatchListener,
    signal: AbortSignal,
  ): Promise<Watch> {
    const options = ['-m', '-r', '-P', ...EVENTS, '--no-newline', '--format', '%e %w%f%0'];
    // Ends with this process, whatever becomes of it: an idle tree would never make it notice.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'inotifywait', ...options, '.', markerDir], {
      cwd: dir,
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const watch = new Watch(child, markerDir, listener);
    try {
      await watch.#established(signal);
    } catch (error) {
      watch.stop();
      throw error;
    }
    return watch;
  }

  /** Settles when all has been told that happened before this was asked. @throws when the watch is lost */
  async caughtUp(signal: AbortSignal): Promise<void> {
    const marker = join(this.#markerDir, String(++this.#markers));
    const end = anySignal([signal, this.#gone.signal]);
    end.throwIfAborted();
    const seen = new Promise<void>((resolve, reject) => {
      this.#awaited.set(marker, resolve);
      end.addEventListener('abort', () => reject(end.reason), { once: true });
    });
    try {
      await Promise.all([seen, writeFile(marker, '')]);
    } finally {
      this.#awaited.delete(marker);
      await unlink(marker).catch(() => {});
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#child.kill('SIGKILL');
  }

  async #established(signal: AbortSignal): Promise<void> {
    const child = this.#child;
    let words = '';
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Error(`it cannot be started: ${error.code}`)),
      );
      child.once('close', () => reject(new Error(lastLine(words) || 'inotifywait has ended')));
      child.stdout?.on('data', (chunk: Buffer) => this.#read(chunk));
      child.stderr?.setEncoding('latin1').on('data', (text: string) => {
        if (words.length < KEPT_WORDS) words += text;
        if (ESTABLISHED.test(words)) resolve();
      });
    });
    child.once('close', () => this.#lose('inotifywait has ended'));
  }

  #read(chunk: Buffer): void {
    const records = (this.#rest + chunk.toString('latin1')).split('\0');
    this.#rest = records.pop() ?? '';
    for (const record of records) this.#tell(record);
  }

  /** The events, a blank, and the path as inotifywait was given it. */
  #tell(record: string): void {
    const blank = record.indexOf(' ');
    const events = record.slice(0, blank);
    const path = record.slice(blank + 1);
    if (OVERFLOW.test(events)) this.#lose('too much happened at once');
    this.#awaited.get(path)?.();
    if (!path.startsWith('./')) return;
    const relative = path.slice(2).replace(/\/$/, '');
    this.#listener.onTouched(relative);
    if (events.includes('ISDIR') && APPEARS.test(events)) this.#listener.onAppeared(relative);
  }

  #lose(why: string): void {
    if (this.#stopped || this.#gone.signal.aborted) return;
    this.#gone.abort(new Error(why));
    this.#listener.onLost(why);
    this.#child.kill('SIGKILL');
  }
}

function lastLine(text: string): string {
  return (
    text
      .trim()
      .split('\n')
      .filter((line) => !/^Setting up watches/.test(line))
      .at(-1) ?? ''
  );
}
