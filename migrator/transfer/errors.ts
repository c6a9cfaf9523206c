import { HoldfastError } from '../errors.ts';

/** What arrived is not what was sent. TLS rules out the wire, so it is a fault of memory, disk or program. */
export function damaged(what: string, cause?: unknown): HoldfastError {
  return new HoldfastError('IMAGES_DAMAGED', `the checkpoint did not arrive whole: ${what}`, {
    mend: 'migrate again; if it recurs, check the memory of both hosts',
    retryable: true,
    cause,
  });
}

export function truncated(): HoldfastError {
  return new HoldfastError('IMAGES_TRUNCATED', 'the stream of the checkpoint ended before its end frame', {
    mend: 'check the link between the hosts and migrate again',
    retryable: true,
  });
}

export function linkStalled(peer: string, stallMs: number): HoldfastError {
  return new HoldfastError('LINK_STALLED', `nothing moved on the link to ${peer} for ${stallMs} ms`, {
    mend: 'check the link between the hosts and migrate again',
    retryable: true,
  });
}

export function linkBroken(peer: string, cause: unknown): HoldfastError {
  const code = String((cause as { code?: unknown } | undefined)?.code ?? cause);
  return new HoldfastError('LINK_BROKEN', `the link to ${peer} broke: ${code}`, {
    mend: 'check that the agent there runs, that its port is open to the source, and that certificates match',
    retryable: true,
    cause,
  });
}

/** What went wrong with the link to `peer`: an error that says so itself stays as it is. */
export function asLinkError(error: unknown, peer: string): HoldfastError {
  return error instanceof HoldfastError ? error : linkBroken(peer, error);
}

/** A file system's refusal to take more, told as such; anything else as it is. */
export function translateWriteError(error: unknown, dir: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new HoldfastError('IMAGES_DISK_FULL', `the file system of ${dir} is full`, {
    mend: 'free or add space at the destination (runDir in its agent.yaml; a tmpfs may be remounted larger)',
    cause: error,
  });
}
