import { HoldfastError } from '../errors.ts';

/** What rsync's exit codes say, as rsync(1) has them; those that are missing tell nothing more than their words. */
const ExitCode = { protocol: 2, unsupported: 4, socket: 10, stream: 12, partial: 23, vanished: 24 } as const;

/** How an rsync ended, and the last it said. */
export interface RsyncEnd {
  readonly code: number;
  readonly said: string;
}

/**
 * The end of a run from those of its two rsyncs. What a server has to say it says to its client; but a client may have
 * seen no more than its server go.
 */
export function endOfRun(client: RsyncEnd, server: RsyncEnd): RsyncEnd {
  const said = client.said + server.said;
  const sawItGo = client.code === ExitCode.stream || client.code === ExitCode.socket || client.code < 0;
  const code = client.code === 0 || (sawItGo && server.code !== 0) ? server.code : client.code;
  return { code, said };
}

/** Whether an rsync carried its run through, but for single files. */
export function cameToItsEnd({ code }: RsyncEnd): boolean {
  return code === 0 || code === ExitCode.partial || code === ExitCode.vanished;
}

const TOLD_LINES = 5;

/** What an app that runs on does to a file while it is read: the next pass brings it. */
const OF_A_RUNNING_APP = [
  /file has vanished: /,
  /: No such file or directory \(2\)$/,
  /: Not a directory \(20\)$/,
  /read errors mapping .*: (No data available \(61\)|Is a directory \(21\))$/,
  /failed verification -- update (discarded|retained|put into partial-dir)/,
];
/** Said besides, of no weight of their own. */
const SUMMARY =
  /^rsync (error|warning): |^rsync: \[\w+\] (connection unexpectedly closed|write error: Broken pipe)|^$/;

/**
 * What the end of an rsync means; undefined when all is well.
 *
 * @param running whether somebody may have been writing to the files: then what vanished or shrank meanwhile is no error
 */
export function rsyncError(
  end: RsyncEnd,
  { running }: { readonly running: boolean },
): HoldfastError | undefined {
  const { code, said } = end;
  if (code === 0) return undefined;
  const lines = said.split('\n').filter((line) => !SUMMARY.test(line));
  const isExcused = lines.every((line) => OF_A_RUNNING_APP.some((pattern) => pattern.test(line)));
  const isPartial = code === ExitCode.partial || code === ExitCode.vanished;
  if (running && isPartial && isExcused) return undefined;
  // rsync 3.2.7 loses count when the first of several names of a file vanishes before it is sent.
  if (running && /Invalid packet at end of run/.test(said)) return unsettled();
  const told = (lines.length > 0 ? lines : said.trim().split('\n')).slice(0, TOLD_LINES).join('; ');
  if (/No space left on device|Disk quota exceeded/.test(said)) return diskFull(told);
  if (isPartial) {
    return new HoldfastError('FILES_INCOMPLETE', `not every file could be copied: ${told}`, {
      mend: 'let both hosts keep the volume on a file system that knows all its files have: owners, ACLs, xattrs, devices',
    });
  }
  if (code === ExitCode.protocol || code === ExitCode.unsupported || /unknown option/.test(said)) {
    return new HoldfastError('FILES_MISMATCH', `the two rsyncs do not understand one another: ${told}`, {
      mend: 'install rsync 3.2.3 or newer on both hosts',
    });
  }
  if (code === ExitCode.stream || code === ExitCode.socket) return streamBroken(told);
  return new HoldfastError('FILES_FAILED', `rsync ended with ${code}: ${told}`, {
    mend: 'act on what rsync said, then migrate again',
  });
}

/** What went wrong with the stream: a link that tells why it broke or stalled is not told of in other words. */
export function streamBroken(what: string, cause?: unknown): HoldfastError {
  if (cause instanceof HoldfastError) return cause;
  return new HoldfastError('LINK_BROKEN', `the stream of files broke: ${what}`, {
    mend: 'check the link between the hosts and migrate again: what has arrived is not sent again',
    retryable: true,
    cause,
  });
}

/** The other end does not keep to the protocol: two versions of Holdfast, or not the other end at all. */
export function notUnderstood(what: string): HoldfastError {
  return new HoldfastError('FILES_MISMATCH', `the stream of files is not understood: ${what}`, {
    mend: 'run one version of Holdfast everywhere',
  });
}

export function walkFailed(dir: string, said: string): HoldfastError {
  return new HoldfastError('FILES_UNREADABLE', `the files below ${dir} cannot be listed: ${said}`, {
    mend: 'see that the directory is there and its file system well',
  });
}

export function endedEarly(signal: AbortSignal): HoldfastError {
  return new HoldfastError('DEADLINE', 'the copying of files was ended before it was done', {
    retryable: true,
    cause: signal.reason,
  });
}

/** Met while the app runs only: the next attempt may be luckier. */
function unsettled(): HoldfastError {
  return new HoldfastError('FILES_UNSETTLED', 'files with several names vanished while they were copied', {
    mend: 'migrate again, in a quieter moment',
    retryable: true,
  });
}

function diskFull(told: string): HoldfastError {
  return new HoldfastError('FILES_DISK_FULL', `there is no room for the files at the destination: ${told}`, {
    mend: 'make room where the destination keeps the volume, then migrate again',
  });
}
