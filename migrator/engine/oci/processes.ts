import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** One open file of a process. */
export interface OpenFile {
  readonly fd: number;
  /** As /proc tells it: a path, `socket:[inode]`, `anon_inode:[name]`, … */
  readonly target: string;
}

/** Everything here answers for a process that has ended with nothing rather than an error. */
const NOTHING = () => '';

/** When a process began, in clock ticks since the boot: with the pid, its name for good. 0 when there is none. */
export function processStart(pid: number): number {
  const fields = statFields(pid);
  return fields[0] === 'Z' || fields[0] === 'X' ? 0 : Number(fields[19] ?? 0);
}

/** Without those that have ended and wait for their parent to notice. */
export async function livingPids(cgroup: { pids(): Promise<number[]> }): Promise<number[]> {
  return (await cgroup.pids()).filter((pid) => processStart(pid) !== 0);
}

/** Whether a signal has stopped it, as job control does. Not told of a process that is frozen. */
export function isStopped(pid: number): boolean {
  return statFields(pid)[0] === 'T';
}

/** The device number of the controlling terminal, 0 without one. */
export function controllingTerminal(pid: number): number {
  return Number(statFields(pid)[4] ?? 0);
}

/** From the state on: the command's name before it may hold anything. */
function statFields(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text
      .slice(text.lastIndexOf(')') + 2)
      .trim()
      .split(' ');
  } catch {
    return [];
  }
}

export async function openFiles(pid: number): Promise<OpenFile[]> {
  const dir = `/proc/${pid}/fd`;
  const fds = await readdir(dir).catch(() => []);
  const files = await Promise.all(
    fds.map(async (fd) => ({ fd: Number(fd), target: await readlink(join(dir, fd)).catch(NOTHING) })),
  );
  return files.filter((file) => file.target !== '');
}

/** Whether an open file lies on one of the process's own mounts. */
export async function onOwnMount(pid: number, fd: number): Promise<boolean> {
  const [info, mounts] = await Promise.all([
    readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(NOTHING),
    readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(NOTHING),
  ]);
  const mountId = /^mnt_id:\s*(\d+)/m.exec(info)?.[1];
  return mountId === undefined || new RegExp(`^${mountId} `, 'm').test(mounts);
}

/** The pid of the process that traces this one, 0 when none does. */
export async function tracerOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(NOTHING);
  return Number(/^TracerPid:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}

/** Memory a checkpoint has to carry: anonymous and swapped pages, and the process's share of shared memory. */
export async function memoryBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(NOTHING);
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0);
  return (kib('Anonymous') + kib('Swap') + kib('Pss_Shmem')) * 1024;
}

/** Whether it has mapped pages from the pool of huge pages, be they touched or not. */
export async function hasHugetlb(pid: number): Promise<boolean> {
  const smaps = await readFile(`/proc/${pid}/smaps`, 'utf8').catch(NOTHING);
  return /^VmFlags:.*\bht\b/m.test(smaps);
}

const CAP_SYS_RESOURCE = 1n << 24n;

/** Whether this process, and so the CRIU it starts, may read the limits of processes of other users. */
export async function mayReadLimits(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8').catch(NOTHING);
  return (BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`) & CAP_SYS_RESOURCE) !== 0n;
}

/** Whether a process's user and group ids are all root's. */
export async function isRoots(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(NOTHING);
  return /^Uid:(\s+0){3}\s/m.test(status) && /^Gid:(\s+0){3}\s/m.test(status);
}

/** Whether a process has a namespace of that kind which is not this process's. */
export async function hasOwn(kind: 'cgroup' | 'net', pid: number): Promise<boolean> {
  const namespaceOf = (process: number | 'self') => readlink(`/proc/${process}/ns/${kind}`);
  return (await namespaceOf(pid)) !== (await namespaceOf('self'));
}

/** Of a process's first thread, which starts them as a rule; none when it has ended. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
