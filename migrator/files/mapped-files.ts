import { readFile } from 'node:fs/promises';
import { Sight } from './paths.ts';

/** One line of /proc/PID/maps, see proc_pid_maps(5): a shared, writable mapping of a file. */
const MAPPED = /^\S+ .w.s \S+ \S+ (\d+) +(\/.*)$/;

/** A file that a process has mapped, shared and writable. */
export interface MappedFile {
  readonly inode: string;
  /** As the process has it, in latin1. */
  readonly path: string;
}

/**
 * What processes have mapped, shared and writable: what they write there nobody is told of, and a pass has to take it in
 * any case.
 */
export async function mappedBy(pids: readonly number[]): Promise<MappedFile[]> {
  const maps = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/maps`, 'latin1').catch(() => '')), // It has ended.
  );
  const found = new Map<string, MappedFile>();
  for (const line of maps.join('').split('\n')) {
    const [, inode, path] = MAPPED.exec(line) ?? [];
    if (inode !== undefined && path !== undefined) found.set(`${inode} ${path}`, { inode, path });
  }
  return [...found.values()];
}

/**
 * Those of them that are below `dir`. One that is not found where the process has it (its name was changed meanwhile, or
 * holds a line end) is told of by the watch or by the time of its change, as far as these go.
 *
 * @param inside where the processes have the directory
 */
export function mappedBelow(dir: string, inside: string, mapped: readonly MappedFile[]): Set<string> {
  const root = inside.endsWith('/') ? inside : `${inside}/`;
  const sight = new Sight(dir);
  const found = new Set<string>();
  for (const { inode, path } of mapped) {
    if (!path.startsWith(root)) continue;
    const below = path.slice(root.length);
    if (sight.at(below)?.inode === inode) found.add(below);
  }
  return found;
}
