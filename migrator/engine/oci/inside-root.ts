import { readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** As many as the kernel follows. */
const MOST_LINKS = 40;

/**
 * Where a path leads inside a root file system: symbolic links are followed as a process in there would, and lead out of
 * it no more than for that one.
 */
export function pathInside(root: string, path: string): string {
  const left = path.split('/');
  let inside = '/';
  let links = 0;
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    if (part === '' || part === '.') continue;
    const next = join(inside, part); // Above `/` there is nothing.
    const target = part === '..' || links >= MOST_LINKS ? undefined : linkTarget(join(root, next));
    if (target === undefined) {
      inside = next;
      continue;
    }
    links++;
    if (target.startsWith('/')) inside = '/';
    left.unshift(...target.split('/'));
  }
  return inside;
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // It is none, or is not there (yet).
  }
}
