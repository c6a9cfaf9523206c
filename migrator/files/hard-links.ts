import { unlinkSync } from 'node:fs';
import { find } from './find.ts';
import { isEmpty, pathIn, Sight, Thing } from './paths.ts';

/** The names of files that have more than one, by inode. */
export type LinkGroups = Map<string, Set<string>>;

/** Everything in a tree that has several names. */
export async function findLinks(dir: string, signal: AbortSignal): Promise<LinkGroups> {
  return groupsOf(await find(dir, ['!', '-type', 'd', '-links', '+1', '-printf', '%i %P\\0'], signal));
}

/** All names of these inodes. */
export async function findNames(
  dir: string,
  inodes: Iterable<string>,
  signal: AbortSignal,
): Promise<LinkGroups> {
  const any = [...inodes].flatMap((inode) => ['-o', '-inum', inode]).slice(1);
  return groupsOf(await find(dir, ['(', ...any, ')', '-printf', '%i %P\\0'], signal));
}

/** @param records an inode, a blank and a path each */
export function groupsOf(records: Iterable<string>): LinkGroups {
  const groups: LinkGroups = new Map();
  for (const record of records) {
    const blank = record.indexOf(' ');
    addName(groups, record.slice(0, blank), record.slice(blank + 1));
  }
  return groups;
}

export function addName(groups: LinkGroups, inode: string, path: string): void {
  const names = groups.get(inode);
  if (names === undefined) groups.set(inode, new Set([path]));
  else names.add(path);
}

/**
 * Destination, before a whole pass: leave each file one name only. rsync ties names together but never asunder: two
 * that are one file here and two at the source would stay one. Those that belong together are tied again, and are not
 * sent for that.
 */
export async function loosenAll(dir: string, signal: AbortSignal): Promise<void> {
  if (await isEmpty(dir)) return;
  for (const [, ...others] of (await findLinks(dir, signal)).values()) {
    for (const path of others) unlinkSync(pathIn(dir, path));
  }
}

/**
 * Destination, before a run over these paths that writes in place: no other file may change by it. Names of a file that
 * are all on the list are left one; where one is not on the list, those that are go.
 */
export function loosenListed(dir: string, paths: Iterable<string>): void {
  const sight = new Sight(dir);
  const groups: LinkGroups = new Map();
  for (const path of paths) {
    const met = sight.at(path);
    if (met !== undefined && met.links > 1 && met.thing !== Thing.directory) addName(groups, met.inode, path);
  }
  for (const [first = '', ...others] of groups.values()) {
    const isWhole = sight.at(first)?.links === others.length + 1;
    for (const path of isWhole ? others : [first, ...others]) unlinkSync(pathIn(dir, path));
  }
}
