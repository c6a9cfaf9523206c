import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DumpServer, dismissDumpServer, dismissDumpServerOnceUp } from '../../criu/dump-server.ts';
import { HoldfastError } from '../../errors.ts';
import { leisurely } from '../../haste.ts';
import { processStart } from './processes.ts';

/**
 * A run of runc or CRIU that may outlive the agent. It has no pipe to the agent, so nothing breaks in it when the agent is
 * killed, and it is on record, so that the next agent finds it.
 */
interface Operation {
  readonly pid: number;
  /** See `processStart`: a pid alone may by now be somebody else's. */
  readonly start: number;
  /** Where it and CRIU write their logs. */
  readonly logDir: string;
  /** A dump that leaves memory in place ends when the server it opens here is dismissed. */
  readonly dumpServerPort?: number;
}

export const OnAbort = {
  /** End it: it is to leave nothing behind. */
  kill: 'kill',
  /** Let it come to its end by itself: killing CRIU in the middle of a dump would leave its code inside the app. */
  leave: 'leave',
} as const;
export type OnAbort = (typeof OnAbort)[keyof typeof OnAbort];

const POLL_MS = 5;
const RECORD_BYTES = 1024;

export interface RunOptions {
  readonly recordFile: string;
  /** Where the program writes its logs. */
  readonly logDir: string;
  readonly cwd: string;
  readonly onAbort: OnAbort;
  readonly dumpServer?: DumpServer | undefined;
  /** It is what a frozen app waits for: see `hastily`. */
  readonly goesFirst?: boolean;
  /** Besides the agent's own. */
  readonly env?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/**
 * Run a program to its end, on record in `recordFile`.
 *
 * @returns its exit code
 * @throws HoldfastError `DEADLINE` when `signal` fires first, `PROGRAM_MISSING`
 */
export async function runOnRecord(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<number> {
  const { recordFile, logDir, dumpServer, signal } = options;
  if (signal.aborted) throw deadline(program, signal);
  const entry = reserve(recordFile);
  const env = { ...process.env, ...options.env };
  const start = () => spawn(program, args, { stdio: 'ignore', detached: true, cwd: options.cwd, env });
  const child = options.goesFirst ? start() : leisurely(start);
  // Before anything else can happen: a dump that nobody knows of could be thawed into.
  if (child.pid === undefined) entry.drop();
  else {
    const known = { pid: child.pid, start: processStart(child.pid), logDir };
    entry.fill({ ...known, ...(dumpServer && { dumpServerPort: dumpServer.port }) });
  }
  const settled = new AbortController();
  if (dumpServer) void dismissDumpServerOnceUp(dumpServer, settled.signal);
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 128));
  }).finally(() => rm(recordFile, { force: true }));
  ended.catch(() => {}); // When the signal fires first, nobody waits for this any more.
  let abandon: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abandon = () => {
      if (options.onAbort === OnAbort.leave) {
        child.unref();
        reject(deadline(program, signal));
        return;
      }
      killGroup(child.pid);
      ended.finally(() => reject(deadline(program, signal))).catch(() => {});
    };
    signal.addEventListener('abort', abandon, { once: true });
  });
  try {
    const code = await Promise.race([ended, aborted]);
    if (signal.aborted && options.onAbort === OnAbort.kill) throw deadline(program, signal);
    return code;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new HoldfastError('PROGRAM_MISSING', `${program} is not installed`, {
      mend: `install ${program} and try again`,
      cause: error,
    });
  } finally {
    settled.abort();
    signal.removeEventListener('abort', abandon);
  }
}

/** Wait until no operation is under way. @throws `OPERATION_UNDER_WAY` when `signal` fires first */
export async function awaitOperation(recordFile: string, signal: AbortSignal): Promise<void> {
  for (let operation = underWay(recordFile); operation !== undefined; operation = underWay(recordFile)) {
    if (signal.aborted) {
      throw new HoldfastError('OPERATION_UNDER_WAY', `runc or CRIU (pid ${operation.pid}) is still at work`, {
        retryable: true,
        mend: 'try again; it ends by itself',
      });
    }
    if (operation.dumpServerPort !== undefined) await dismissDumpServer(operation.dumpServerPort);
    await sleep(POLL_MS);
  }
}

/** Kill what is under way, if anything is, and wait for its end. Settles with where its logs are, if they are known. */
export async function killOperation(recordFile: string, signal: AbortSignal): Promise<string | undefined> {
  const logDir = onRecord(recordFile)?.logDir;
  killGroup(underWay(recordFile)?.pid);
  await awaitOperation(recordFile, signal);
  return logDir;
}

interface Entry {
  fill(operation: Operation): void;
  drop(): void;
}

/** Take the room for a record before the program is started: a full disk must not keep a dump off the record. */
function reserve(file: string): Entry {
  const fresh = `${file}.new`;
  const drop = () => rmSync(fresh, { force: true });
  let fd: number | undefined;
  try {
    fd = openSync(fresh, 'w', 0o600);
    writeSync(fd, ' '.repeat(RECORD_BYTES), 0);
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    drop();
    throw noRoom(file, cause);
  }
  const open = fd;
  return {
    fill(operation) {
      writeSync(open, JSON.stringify(operation).padEnd(RECORD_BYTES), 0);
      closeSync(open);
      renameSync(fresh, file);
    },
    drop() {
      closeSync(open);
      drop();
    },
  };
}

function underWay(file: string): Operation | undefined {
  const operation = onRecord(file);
  const alive = operation !== undefined && operation.start !== 0;
  return alive && processStart(operation.pid) === operation.start ? operation : undefined;
}

function onRecord(file: string): Operation | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Operation;
  } catch {
    return undefined;
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}

/** What a file could not be written for, in our words when it is want of room. */
export function noRoom(file: string, cause: unknown): unknown {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') return cause;
  return new HoldfastError('IMAGES_DISK_FULL', `there is no room left for ${file}`, {
    retryable: true,
    mend: "make room on the file system of the images (the agent's run directory) and try again",
    cause,
  });
}

function deadline(program: string, signal: AbortSignal): HoldfastError {
  return new HoldfastError('DEADLINE', `${program} took too long`, {
    retryable: true,
    cause: signal.reason,
  });
}
