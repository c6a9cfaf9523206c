import { type FileHandle, open, readFile } from 'node:fs/promises';
import type { Range } from './block.ts';
import { innerPid } from './layout.ts';
import { isPresent, ownRanges } from './own-ranges.ts';

/** Of the memory map, in hexadecimal: where an area begins and ends, and what it is called. */
const AREA = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/;
/** The kernel's own pages: every host has its own. */
const KERNEL_AREAS = new Set(['[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]']);

/** A process whose memory is open to be read, whether it runs or is frozen. */
export class ProcessMemory {
  readonly pid: number;
  /** In its own namespace: CRIU's images are named by it. */
  readonly innerPid: number;
  readonly #memory: FileHandle;
  readonly #pagemap: FileHandle;

  private constructor(pid: number, inner: number, memory: FileHandle, pagemap: FileHandle) {
    this.pid = pid;
    this.innerPid = inner;
    this.#memory = memory;
    this.#pagemap = pagemap;
  }

  /** Undefined for a process that has ended. It must be closed. */
  static async open(pid: number): Promise<ProcessMemory | undefined> {
    const memory = await open(`/proc/${pid}/mem`, 'r').catch(() => undefined);
    const pagemap = await open(`/proc/${pid}/pagemap`, 'r').catch(() => undefined);
    const inner = await innerPid(pid);
    if (memory && pagemap && inner !== undefined) return new ProcessMemory(pid, inner, memory, pagemap);
    await memory?.close();
    await pagemap?.close();
    return undefined;
  }

  /** The descriptor of `/proc/PID/mem`. */
  get descriptor(): number {
    return this.#memory.fd;
  }

  /**
   * Where the process has private memory of its own that it has written to, in the order of the addresses. It may
   * change, give up or swap out any of it meanwhile: whoever reads there must not rely on it.
   */
  async *presentRanges(): AsyncGenerator<Range> {
    try {
      for (const area of await writtenAreas(this.pid)) yield* ownRanges(this.#pagemap, area, isPresent);
    } catch {
      // It has ended.
    }
  }

  async close(): Promise<void> {
    await this.#memory.close();
    await this.#pagemap.close();
  }
}

/** Areas with pages of their own. `smaps` tells which: reserved terabytes are passed over without a look. */
async function writtenAreas(pid: number): Promise<Range[]> {
  const smaps = await readFile(`/proc/${pid}/smaps`, 'utf8').catch(() => '');
  const areas: Range[] = [];
  let area: { range: Range; name: string } | undefined;
  for (const line of smaps.split('\n')) {
    const [, start, end, name = ''] = AREA.exec(line) ?? [];
    if (start !== undefined && end !== undefined) {
      area = { range: { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }, name };
    } else if (area !== undefined && line.startsWith('Anonymous:')) {
      if (!/ 0 kB$/.test(line) && !KERNEL_AREAS.has(area.name)) areas.push(area.range);
    }
  }
  return areas;
}
