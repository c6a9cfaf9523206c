import { randomBytes } from 'node:crypto';
import { open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../process.ts';

const PREFIX = '.holdfast-probe-';
export const PROBE_NAME = '^\\.holdfast-probe-[0-9a-f]{32}$';

/** File systems that several hosts can have mounted at once. */
export const NETWORK_FILE_SYSTEMS: ReadonlySet<string> = new Set([
  ...['nfs', 'nfs4', 'cifs', 'smb3', 'ceph', 'fuse.ceph', 'glusterfs', 'fuse.glusterfs'],
  ...['lustre', 'beegfs', 'gfs2', 'ocfs2', 'gpfs'],
]);

/** A file of random name and content: whoever finds it looks at the very storage that it was laid in. */
export interface Probe {
  readonly name: string;
  readonly content: string;
}

/** On the storage itself before this settles: another host sees what is closed, not what is cached here. */
export async function layProbe(dir: string): Promise<Probe> {
  const probe = {
    name: `${PREFIX}${randomBytes(16).toString('hex')}`,
    content: randomBytes(16).toString('hex'),
  };
  const handle = await open(join(dir, probe.name), 'wx', 0o600);
  try {
    await handle.writeFile(probe.content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return probe;
}

/**
 * The other host: read the probe, and take it away, which whoever laid it will see.
 *
 * @returns why this is not the same storage; undefined when it is
 */
export async function takeProbe(dir: string, { name, content }: Probe): Promise<string | undefined> {
  const found = await readFile(join(dir, name), 'utf8').catch(() => undefined);
  if (found !== content) return 'this host does not see what the other one writes';
  try {
    await unlink(join(dir, name));
    return undefined;
  } catch {
    return 'this host may not write to it';
  }
}

/** Whether somebody has taken the probe away. It is gone afterwards in either case. */
export async function wasTaken(dir: string, { name }: Probe): Promise<boolean> {
  try {
    await unlink(join(dir, name));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Whether a path of this host is on a file system that several hosts can have mounted at once. */
export async function isOnNetwork(path: string): Promise<boolean> {
  const type = fileSystemOf(path, await readFile('/proc/self/mountinfo', 'utf8'));
  return type !== undefined && NETWORK_FILE_SYSTEMS.has(type);
}

/** The type of the file system that a path is on: that of the longest mount point above it, and of those the last one. */
export function fileSystemOf(path: string, mountinfo: string): string | undefined {
  let longest = -1;
  let type: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const at = unescaped(before.split(' ')[4] ?? '');
    const isAbove = at === '/' || path === at || path.startsWith(`${at}/`);
    if (at === '' || !isAbove || at.length < longest) continue;
    longest = at.length;
    type = after.split(' ')[0];
  }
  return type;
}

/** All that was written to the file system of `dir` is on the storage: the other host sees what is there, and not our cache. */
export async function flush(dir: string, signal: AbortSignal): Promise<void> {
  await run('sync', ['--file-system', dir], { signal });
}

/** The kernel writes a blank as `\040`. */
export function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}
