import { readFile, stat, statfs } from 'node:fs/promises';
import { memoryUnreadable } from './errors.ts';

/** One line of the memory map in /proc/PID/smaps; see proc_pid_smaps(5). */
const AREA = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$/;
/** The kernel's own pages: every host has its own. */
const KERNEL_AREAS = new Set(['[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]']);
const TMPFS_MAGIC = 0x01021994;
/** Of an area without a file. */
const NO_DEVICE = '00:00';

/** A stretch of a process's address space with content that is the process's own. */
export interface Area {
  readonly start: number;
  readonly end: number;
  /** Private pages that it has written: in memory or swapped out. */
  readonly writtenPages: boolean;
  /** A written page stands before a file's: a zero page differs from none. */
  readonly overFile: boolean;
  /** Memory shared with others (anonymous, memfd, POSIX and System V shared memory, files of its own tmpfs). */
  readonly shared: SharedContent | undefined;
}

export interface SharedContent {
  /** The same for all areas, of whatever process, that show the same bytes of the same object. */
  readonly key: string;
  readonly file: string;
  readonly offset: number;
}

/** @param ownMounts where the container's own tmpfs mounts are, as it sees them */
export async function ownAreas(pid: number, ownMounts: readonly string[]): Promise<Area[]> {
  const [smaps, mounts] = await Promise.all(
    ['smaps', 'mountinfo'].map((name) =>
      readFile(`/proc/${pid}/${name}`, 'utf8').catch((cause: unknown) => {
        throw memoryUnreadable(pid, cause);
      }),
    ),
  );
  const devices = new MountedDevices(mounts ?? '', ownMounts);
  const areas: Area[] = [];
  for (const mapped of parseSmaps(smaps ?? '')) {
    if (KERNEL_AREAS.has(mapped.name)) continue;
    const shared = devices.areForeign(mapped.device) ? undefined : await sharedContent(pid, mapped);
    const writtenPages = mapped.isPrivate && !mapped.isDroppable && mapped.writtenKib > 0;
    if (!writtenPages && shared === undefined) continue;
    const { start, end } = mapped;
    areas.push({ start, end, writtenPages, overFile: mapped.device !== NO_DEVICE, shared });
  }
  return areas;
}

interface Mapped {
  readonly start: number;
  readonly end: number;
  /** As the kernel writes it, and names the file in map_files. */
  readonly range: string;
  readonly isPrivate: boolean;
  readonly offset: number;
  readonly device: string;
  readonly inode: number;
  readonly name: string;
  writtenKib: number;
  /** The kernel may take its pages away at any time, and whoever made it counts with that: MAP_DROPPABLE. */
  isDroppable: boolean;
}

function parseSmaps(smaps: string): Mapped[] {
  const all: Mapped[] = [];
  for (const line of smaps.split('\n')) {
    const [, start, end, flags, offset, device, inode, name] = AREA.exec(line) ?? [];
    if (start !== undefined && end !== undefined) {
      all.push({
        start: Number.parseInt(start, 16),
        end: Number.parseInt(end, 16),
        range: `${start}-${end}`,
        isPrivate: flags?.[3] === 'p',
        offset: Number.parseInt(offset ?? '', 16),
        device: device ?? '',
        inode: Number(inode),
        name: name ?? '',
        writtenKib: 0,
        isDroppable: false,
      });
      continue;
    }
    const last = all.at(-1);
    if (last === undefined) continue;
    if (line.startsWith('VmFlags:')) last.isDroppable = /\bdp\b/.test(line);
    const kib = /^(?:Anonymous|Swap|Private_Hugetlb): +(\d+) kB$/.exec(line)?.[1];
    if (kib !== undefined) last.writtenKib += Number(kib);
  }
  return all;
}

async function sharedContent(pid: number, mapped: Mapped): Promise<SharedContent | undefined> {
  if (mapped.device === NO_DEVICE || !mapped.device.startsWith('00:')) return undefined; // No file, or one on a disk.
  const file = `/proc/${pid}/map_files/${mapped.range}`;
  try {
    if ((await statfs(file)).type !== TMPFS_MAGIC) return undefined;
    if ((await stat(file)).blocks === 0) return undefined; // Zeros, however large.
  } catch (cause) {
    throw memoryUnreadable(pid, cause);
  }
  const length = mapped.end - mapped.start;
  return { key: [mapped.device, mapped.inode, mapped.offset, length].join(), file, offset: mapped.offset };
}

/**
 * The kernel's own shared memory lies on a file system that is mounted nowhere. What is mounted belongs to the
 * container only where it was given a tmpfs: files of the host's tmpfs do not travel.
 */
class MountedDevices {
  readonly #foreign = new Set<string>();

  constructor(mountinfo: string, ownMounts: readonly string[]) {
    const own = new Set(ownMounts);
    const owned = new Set<string>();
    for (const line of mountinfo.split('\n')) {
      const [, , device = '', , point = ''] = line.split(' ');
      if (own.has(point)) owned.add(device);
      else this.#foreign.add(device);
    }
    for (const device of owned) this.#foreign.delete(device);
  }

  /** @param device as the memory map has it: two hexadecimal numbers */
  areForeign(device: string): boolean {
    const [major = '', minor = ''] = device.split(':');
    return this.#foreign.has(`${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`);
  }
}
