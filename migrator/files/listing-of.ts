import { addName, findNames, type LinkGroups } from './hard-links.ts';
import type { Listing } from './listing.ts';
import { parentOf, Sight, Thing } from './paths.ts';

/**
 * What to send so that a destination that is as the last pass left it becomes what the tree is now.
 *
 * @param links files known to have had several names: written to by one of them, each has changed. What is found is added
 */
export async function listingOf(
  dir: string,
  changes: { readonly touched: Iterable<string>; readonly appeared: Iterable<string> },
  links: LinkGroups,
  signal: AbortSignal,
): Promise<Listing> {
  const sight = new Sight(dir);
  const groupOf = new Map([...links].flatMap(([inode, names]) => [...names].map((name) => [name, inode])));
  const touched = new Set<string>();
  for (const path of changes.touched) {
    touched.add(sight.nearest(path));
    for (const name of links.get(groupOf.get(path) ?? '') ?? []) touched.add(sight.nearest(name));
  }
  const anew = topmost([...changes.appeared].filter((path) => sight.at(path)?.thing === Thing.directory));
  const gone = new Set([...touched].filter((path) => sight.at(path) === undefined));
  const paths = new Set([...touched].filter((path) => !gone.has(path)));
  for (const path of anew) {
    for (const inner of await sight.below(path)) paths.add(inner);
    if (path !== '') gone.add(path);
  }
  for (const path of await otherNames(dir, paths, sight, links, signal)) paths.add(path);
  // What happened in a directory has changed its time.
  for (const path of [...paths, ...gone]) if (path !== '') paths.add(parentOf(path));
  const sparse = new Set([...paths].filter((path) => sight.at(path)?.hasHoles));
  return { paths, sparse, gone };
}

/** The other names of what is listed: rsync sees that names belong together when it sees all of them. */
async function otherNames(
  dir: string,
  paths: ReadonlySet<string>,
  sight: Sight,
  links: LinkGroups,
  signal: AbortSignal,
): Promise<Set<string>> {
  const wanted = new Map<string, number>();
  for (const path of paths) {
    const met = sight.at(path);
    if (met === undefined || met.thing === Thing.directory || met.links < 2) continue;
    wanted.set(met.inode, met.links);
    addName(links, met.inode, path);
  }
  const unknown = [...wanted].filter(([inode, count]) => {
    const names = links.get(inode) ?? new Set();
    for (const name of names) if (sight.at(name)?.inode !== inode) names.delete(name);
    return names.size < count;
  });
  if (unknown.length > 0) {
    const found = await findNames(
      dir,
      unknown.map(([inode]) => inode),
      signal,
    );
    for (const [inode, names] of found) for (const name of names) addName(links, inode, name);
  }
  return new Set([...wanted.keys()].flatMap((inode) => [...(links.get(inode) ?? [])]));
}

/** Without those that lie below another. */
function topmost(paths: readonly string[]): string[] {
  const all = new Set(paths);
  const isCovered = (path: string): boolean =>
    path !== '' && (all.has(parentOf(path)) || isCovered(parentOf(path)));
  return [...all].filter((path) => !isCovered(path));
}
