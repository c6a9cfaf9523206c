import { readFile } from 'node:fs/promises';
import { Sight } from './paths.ts';

/** One line of /proc/PID/maps, see proc_pid_maps(5): a shared, writable mapping of a file. */
const MAPPED = /^\S+ .w.s \S+ \S+ (\d+) +(\/.*)$/;

/**
 * The files below `dir` that processes have mapped, shared and writable: what they write there nobody is told of, and a
 * pass has to take them in any case. One that is not found where the process has it (its name was changed meanwhile, or
 * holds a line end) is told of by the watch or by the time of its change, as far as these go.
 *
 * @param inside where the processes have the directory
 */
export async function mappedFiles(
  dir: string,
  inside: string,
  pids: readonly number[],
): Promise<Set<string>> {
  const root = inside.endsWith('/') ? inside : `${inside}/`;
  const sight = new Sight(dir);
  const found = new Set<string>();
  for (const pid of pids) {
    const maps = await readFile(`/proc/${pid}/maps`, 'latin1').catch(() => ''); // It has ended.
    for (const line of maps.split('\n')) {
      const [, inode, path = ''] = MAPPED.exec(line) ?? [];
      if (!path.startsWith(root)) continue;
      const below = path.slice(root.length);
      if (sight.at(below)?.inode === inode) found.add(below);
    }
  }
  return found;
}
