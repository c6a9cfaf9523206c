/**
 * What rsync is asked for, at both ends. The source is rsync's client and sends; the destination is its server and
 * receives. Each end makes its own arguments: all that crosses is the name of a run. So the destination's rsync writes
 * below the directory it was started in and nowhere else, whatever the source says.
 */
export const Run = {
  /** The whole tree; what is not there any more is deleted. Files are matched by size and time of writing. */
  whole: 'whole',
  /**
   * What is on a list, and no more of a directory than itself. Files are matched by content, and written in place: only
   * what differs of a large one is written. What is gone was deleted before, by ourselves (listing.ts).
   */
  listed: 'listed',
  /** The same for files with holes: these are written beside and put in their place. */
  sparse: 'sparse',
} as const;
export type Run = (typeof Run)[keyof typeof Run];

export function isRun(name: unknown): name is Run {
  return Object.values(Run).includes(name as Run);
}

/**
 * -l symbolic links, -H hard links, -ogp owner, group and mode, -t times, -D devices and special files, -A ACLs, -X
 * extended attributes (as root all but the system's own: file capabilities and what overlayfs marks too), -x never onto
 * another file system, -z compressed by the best that both know.
 */
const KEEP = 'lHogDtpAXxz';
const ALIKE = [
  '--compress-level=1',
  '--force', // A directory that is in the way of what is none goes with all it has.
  '--modify-window=-1', // Times are compared to the nanosecond: without this to the second.
  '--numeric-ids',
];
/** By itself rsync takes 700 bytes for small files: to look for each of these takes longer than to send the file. */
const BLOCK_BYTES = 16 * 1024;
/**
 * Letters besides KEEP, and options. -r: below directories, -S: with holes, -I: whatever size and time say, -R: by the
 * paths as listed.
 *
 * Never -S with --inplace: rsync 3.2.7 leaves the last bytes as they were where the new ones are zeros. And not
 * --delete-missing-args: with the fixes that Debian 12 has in it, it stops at what is missing.
 */
const SHAPES: Readonly<Record<Run, readonly string[]>> = {
  [Run.whole]: ['rS', '--delete-during', '--ignore-errors'],
  [Run.listed]: ['IR', '--inplace', `--block-size=${BLOCK_BYTES}`],
  [Run.sparse]: ['SIR'],
};

export function hasList(run: Run): boolean {
  return run !== Run.whole;
}

/**
 * What rsync's client tells its server it can do, and the server believes: as of 3.2. An `i` would let file lists come
 * piece by piece; without it all of a tree is known at once, and links are found wherever they are.
 */
const ABILITIES = 'e.LsfxCIvu';

/**
 * Joins rsync's standard streams with descriptor 3, both ways. What rsync takes for its remote shell has ended by the time
 * it waits for it: it would look only every 20 ms.
 */
const RELAY = 'exec 5<&0; cat <&5 >&3 & cat <&3 &';

/** In the directory that is sent; a list comes on standard input, each path ended by a NUL. */
export function clientArguments(run: Run): string[] {
  const [letters, ...options] = SHAPES[run];
  return [
    `-${KEEP}${letters}`,
    ...ALIKE,
    ...options,
    '--no-inc-recursive',
    '--blocking-io', // Else the relay's writes would fail whenever rsync is behind with reading.
    ...(hasList(run) ? ['--files-from=-', '--from0'] : []),
    `--rsh=sh -c '${RELAY}'`,
    './',
    'peer:.',
  ];
}

/** In the directory that is written to. */
export function serverArguments(run: Run): string[] {
  const [letters, ...options] = SHAPES[run];
  return ['--server', `-${KEEP}${letters}${ABILITIES}`, ...ALIKE, ...options, '.', '.'];
}
