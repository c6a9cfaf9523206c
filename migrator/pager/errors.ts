import { HoldfastError } from '../errors.ts';

/** Pages that only the source has cannot be had: whoever was restored without them has been killed. */
export function pagesLost(why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('PAGES_LOST', `memory that was still at the source cannot be had: ${why}`, {
    mend: 'check the link and the agent of the source; move with --strategy pre-copy where the link is not to be relied on',
    cause,
  });
}

/** The pager cannot be started, or ended where it should not have. */
export function pagerFailed(why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('PAGER_FAILED', `the process that serves memory pages: ${why}`, {
    mend: 'read pager.log and lazy-pages.log in the work directory, and migrate again',
    cause,
  });
}

export function notLazy(pid: number, address: number): HoldfastError {
  return new HoldfastError(
    'PAGE_REQUEST_INVALID',
    `criu lazy-pages asked for a page of process ${pid} at ${address} that was not left at the source`,
    { mend: 'run a version of CRIU that this release was tested with' },
  );
}
