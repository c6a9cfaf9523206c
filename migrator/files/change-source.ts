import type { LinkGroups } from './hard-links.ts';

/** What has happened in a tree since it was last asked. */
export interface Changes {
  /** Something was there, is there, or has been. */
  readonly touched: ReadonlySet<string>;
  /** Directories of which nothing is known: they are looked through with all that is below. */
  readonly appeared: ReadonlySet<string>;
  /** This may not be all: the destination has to be compared with the whole tree as well. */
  readonly mayBeMore: boolean;
}

/** Where it is known from what changes in a tree. */
export interface ChangeSource {
  /** Files that have, or have had, several names: written to by one of them, each has changed. Others may add to it. */
  readonly links: LinkGroups;
  /**
   * What has happened since this was last asked, or was begun with.
   *
   * @param running the app goes on meanwhile: there is time to look closely
   */
  take(running: boolean, signal: AbortSignal): Promise<Changes>;
  close(): Promise<void>;
}

export interface TreeLog {
  info(about: object, message: string): void;
  warn(about: object, message: string): void;
}
