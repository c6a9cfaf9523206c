import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HoldfastError } from '../errors.ts';
import { readLog } from './log.ts';

export const Phase = { dump: 'dump', restore: 'restore' } as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

interface Cause {
  readonly pattern: RegExp;
  readonly code?: string;
  readonly mend: string;
}

const IMAGES_DISK_FULL: Cause = {
  pattern: /No space left on device/,
  code: 'IMAGES_DISK_FULL',
  mend: "make room on the file system of the images (the agent's run directory) and try again",
};

/** The first that matches is told. Patterns are CRIU's own words, as of 4.2. */
const KNOWN: Readonly<Record<Phase, readonly Cause[]>> = {
  dump: [
    IMAGES_DISK_FULL,
    {
      pattern: /anon_inode:\[io_uring\]/,
      mend: 'run the app without io_uring: the default seccomp profile refuses it',
    },
    { pattern: /tty|Found dangling tty|\/dev\/pts/i, mend: 'start the app without a terminal' },
    {
      pattern: /Can't lookup mount=/,
      mend: 'let the app open only files of its own mounts; stdio must be /dev/null or pipes',
    },
    {
      pattern: /Can't get \d+:\d+ opt: Operation not supported|Unexpected rt vDSO/,
      mend: 'install CRIU 4.2 or newer: this one does not know this kernel',
    },
    { pattern: /inet:|sk-inet|[Tt]cp/, mend: 'let the app close its connections before the move' },
    {
      pattern: /external socket|unix.*(external|peer)/i,
      mend: 'let no Unix socket lead out of the container',
    },
  ],
  restore: [
    {
      pattern: /No space left on device|Cannot allocate memory/,
      mend: 'free memory at the destination and try again',
    },
    {
      pattern: /Address already in use/,
      mend: "free the app's port at the destination",
    },
    {
      pattern: /CPU .*(match|mismatch|unsupported)|FPU feature|instruction capabilities/,
      mend: 'choose a destination with the same CPU or a newer one',
    },
    {
      pattern: /File .* has bad (size|mode|build-ID|checksum)|No such file or directory/,
      mend: 'give both hosts the same root file system and mounts',
    },
  ],
};

/** Says nothing of the cause: CRIU goes on after it. */
const HARMLESS = /rlimit: Can't setup RLIMIT_NOFILE/;
const TOLD_LINES = 8;

/** The lines of a CRIU log that tell of errors, without their time stamps. */
export function errorLines(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => /\bError\b/.test(line) && !HARMLESS.test(line))
    .map((line) => line.replace(/^\(\d+\.\d+\)\s*/, '').trim())
    .slice(0, TOLD_LINES);
}

/**
 * What went wrong, from CRIU's log and, where that is silent, from the runtime's own words. A log of a dump is taken to
 * be on the file system of the images.
 * Codes: `IMAGES_DISK_FULL`, `DUMP_FAILED`, `RESTORE_FAILED`.
 */
export async function criuError(phase: Phase, logFile: string, runtimeSaid: string): Promise<HoldfastError> {
  const log = await readLog(logFile);
  const lines = errorLines(log);
  const told = lines.length > 0 ? lines : runtimeSaid.trim().split('\n').slice(-TOLD_LINES);
  // CRIU's own failure to write its images has no room for a log either: the runtime's words count too, and the room.
  const met = KNOWN[phase].find(({ pattern }) => told.some((line) => pattern.test(line)));
  const isFull = phase === Phase.dump && met === undefined && (await hasNoRoom(dirname(logFile)));
  const cause = isFull ? IMAGES_DISK_FULL : met;
  const code = cause?.code ?? (phase === Phase.dump ? 'DUMP_FAILED' : 'RESTORE_FAILED');
  return new HoldfastError(code, `the ${phase} failed: ${told.join('; ')}`, {
    retryable: code === 'IMAGES_DISK_FULL',
    mend:
      cause?.mend ?? (log === '' ? 'compare the runtime and the mounts of both hosts' : `read ${logFile}`),
  });
}

/** What failed for want of room may have given some of it back. */
const NO_ROOM_BYTES = 256 * 1024;

async function hasNoRoom(dir: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize < NO_ROOM_BYTES;
}
