import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import path from 'node:path';
import { HoldfastError } from '../../migrator/errors.ts';

/*
 * What a lab has on a machine is named after the lab alone, so that it can be found and removed with nothing but
 * the name, even when the run that made it was killed half-way.
 */

export const labsDir = '/run/holdfast-lab';

/** Where the lab's state file and its mount points are. */
export function labDir(lab: string): string {
  return path.join(labsDir, 'labs', lab);
}

/** Where the hosts of all labs have directories on a real disk. */
export const allDisksDir = '/var/tmp/holdfast-lab';

export function disksDir(lab: string): string {
  return path.join(allDisksDir, lab);
}

/** Where the root file system is kept between runs. */
export function cacheDir(): string {
  const base = process.env.XDG_CACHE_HOME ?? '';
  return path.join(path.isAbsolute(base) ? base : path.join(homedir(), '.cache'), 'holdfast');
}

/** The machine's end of its cable to the lab's switch. A link's name has at most 15 characters. */
export function uplinkName(lab: string): string {
  return `hf${createHash('sha256').update(lab).digest('hex').slice(0, 10)}`;
}

/** @throws HoldfastError `LAB_BAD_NAME` */
export function checkName(name: string): void {
  if (/^[a-z0-9][a-z0-9-]{0,40}$/.test(name)) return;
  throw new HoldfastError('LAB_BAD_NAME', `${JSON.stringify(name)} cannot be the name of a lab or a host`, {
    mend: 'use lower-case letters, digits and dashes',
  });
}

/** @throws HoldfastError `LAB_BAD_NAME` */
export function checkNames(lab: string, hosts: readonly string[]): void {
  for (const name of [lab, ...hosts]) checkName(name);
  if (hosts.length === 0 || hosts.length > 99 || new Set(hosts).size !== hosts.length) {
    throw new HoldfastError('LAB_BAD_NAME', 'a lab has 1 to 99 hosts, each with a name of its own', {
      mend: 'name the hosts like this: a,b,c',
    });
  }
}
