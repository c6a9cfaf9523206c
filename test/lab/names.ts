import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import path from 'node:path';
import { HoldfastError } from '../../migrator/errors.ts';

/**
 * Everything a lab leaves on a machine is named after the lab alone, so that it can be found and removed with
 * nothing but the name, even when the run that made it was killed half-way.
 */

export const labsDir = '/run/holdfast-lab';

/** Where the lab's state file, its mount points and its relays' logs are. */
export function labDir(lab: string): string {
  return path.join(labsDir, 'labs', lab);
}

export function cacheDir(): string {
  const base = process.env.XDG_CACHE_HOME;
  return path.join(
    base !== undefined && path.isAbsolute(base) ? base : path.join(homedir(), '.cache'),
    'holdfast',
  );
}

/** Where the hosts of a lab have a directory on a real disk each. */
export function disksDir(lab: string): string {
  return path.join(cacheDir(), 'disks', lab);
}

/** The bridge, and the prefix of all the lab's other links. A link's name has at most 15 characters. */
export function bridgeName(lab: string): string {
  return `hf${createHash('sha256').update(lab).digest('hex').slice(0, 7)}`;
}

/** The machine's end of the cable to the lab's host number `index`. */
export function cableName(lab: string, index: number): string {
  return `${bridgeName(lab)}-${index}`;
}

export function checkNames(lab: string, hosts: readonly string[]): void {
  for (const name of [lab, ...hosts]) {
    if (/^[a-z0-9][a-z0-9-]{0,40}$/.test(name)) continue;
    throw new HoldfastError('LAB_BAD_NAME', `${JSON.stringify(name)} cannot be the name of a lab or a host`, {
      mend: 'use lower-case letters, digits and dashes',
    });
  }
  if (hosts.length === 0 || hosts.length > 99 || new Set(hosts).size !== hosts.length) {
    throw new HoldfastError('LAB_BAD_NAME', 'a lab has 1 to 99 hosts, each with a name of its own');
  }
}
