import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { HoldfastError } from '../errors.ts';
import type { RsyncEnd } from './errors.ts';
import { clientArguments, hasList, type Run, serverArguments } from './rsync-run.ts';

/** A run of rsync at one end, in a process group of its own. */
export interface RsyncProcess {
  /** What it says to the other end, and what the other end says to it. */
  readonly said: Readable;
  readonly heard: Writable;
  /** Takes the list of paths; of a client that has one. */
  readonly list: Writable | undefined;
  /** Settles when it, and whatever it started, has ended. @throws HoldfastError `PROGRAM_MISSING` */
  readonly ended: Promise<RsyncEnd>;
  /** Have it end; it takes its temporary files with it. */
  stop(): void;
  /** End one at once that has not been told of anything to do. */
  kill(): void;
  /** The other end has heard its goodbye, so its work is done: have it end at once, and well. */
  discharge(): void;
}

const KEPT_BYTES = 64 * 1024;
/** rsync removes its temporary file when told to end; one that does not in this time is killed. */
const GRACE_MS = 500;
/** No settings of the user's, no RSYNC_… of the environment. */
const ENVIRONMENT = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', HOME: '/nonexistent' };

export function startClient(dir: string, run: Run): RsyncProcess {
  const child = spawn('rsync', clientArguments(run), {
    cwd: dir,
    env: ENVIRONMENT,
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const link = child.stdio[3] as Duplex;
  child.once('exit', () => link.end()); // Ends the relay.
  return rsyncProcess(child, link, link, hasList(run) ? (child.stdin as Writable) : undefined);
}

export function startServer(dir: string, run: Run): RsyncProcess {
  const child = spawn('rsync', serverArguments(run), {
    cwd: dir,
    env: ENVIRONMENT,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  return rsyncProcess(child, child.stdout as Readable, child.stdin as Writable, undefined);
}

function rsyncProcess(
  child: ChildProcess,
  said: Readable,
  heard: Writable,
  list: Writable | undefined,
): RsyncProcess {
  for (const stream of child.stdio) stream?.on('error', () => {}); // It may end without reading all.
  if (list === undefined && child.stdin !== heard) child.stdin?.end();
  let words = '';
  child.stderr?.setEncoding('latin1').on('data', (text: string) => {
    if (words.length < KEPT_BYTES) words += text;
  });
  let killer: NodeJS.Timeout | undefined;
  let isOver = false;
  let isDischarged = false;
  const kill = (signal: NodeJS.Signals) => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // The group has ended in the meantime.
    }
  };
  const ended = new Promise<RsyncEnd>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => reject(cannotStart(cause)));
    child.once('close', (code) => resolve({ code: code ?? (isDischarged ? 0 : -1), said: words }));
  }).finally(() => {
    isOver = true;
    clearTimeout(killer);
  });
  ended.catch(() => {});
  return {
    said,
    heard,
    list,
    ended,
    kill() {
      if (!isOver) kill('SIGKILL');
    },
    discharge() {
      isDischarged = true;
      if (!isOver) kill('SIGKILL');
    },
    stop() {
      if (isOver) return;
      kill('SIGTERM');
      killer ??= setTimeout(kill, GRACE_MS, 'SIGKILL');
    },
  };
}

/** Node says ENOENT of a working directory that is missing too. */
function cannotStart(cause: NodeJS.ErrnoException): HoldfastError {
  if (cause.code === 'ENOENT') {
    return new HoldfastError(
      'PROGRAM_MISSING',
      'rsync is not installed, or the directory it is to copy is gone',
      {
        mend: 'install rsync on both hosts, and see that the volume is there',
        cause,
      },
    );
  }
  return new HoldfastError('FILES_FAILED', `rsync could not be started: ${cause.code}`, { cause });
}
