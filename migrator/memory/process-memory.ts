import { type FileHandle, open, readFile } from 'node:fs/promises';
import { PAGE_BYTES } from '../transfer/frame.ts';
import type { Range } from './block.ts';
import { innerPid } from './layout.ts';

/** Of the memory map, in hexadecimal: where an area begins and ends, and what it is called. */
const AREA = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/;
/** The kernel's own pages: every host has its own. */
const KERNEL_AREAS = new Set(['[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]']);

/** Of a pagemap entry's upper half: in memory, and not a file's or shared page. See proc_pid_pagemap(5). */
const PRESENT = 1 << 31;
const FILE_OR_SHARED = 1 << 29;
const ENTRY_BYTES = 8;
const ENTRIES_AT_ONCE = 64 * 1024;

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
    const entries = Buffer.allocUnsafe(ENTRIES_AT_ONCE * ENTRY_BYTES);
    for (const area of await writtenAreas(this.pid)) yield* this.#presentIn(area, entries);
  }

  async *#presentIn(area: Range, entries: Buffer): AsyncGenerator<Range> {
    let start: number | undefined;
    let at = area.start;
    while (at < area.end) {
      const wanted = Math.min(entries.length, ((area.end - at) / PAGE_BYTES) * ENTRY_BYTES);
      const read = await this.#pagemap
        .read(entries, 0, wanted, (at / PAGE_BYTES) * ENTRY_BYTES)
        .catch(() => undefined);
      const count = Math.floor((read?.bytesRead ?? 0) / ENTRY_BYTES);
      if (count === 0) break; // It has ended.
      for (let entry = 0; entry < count; entry++, at += PAGE_BYTES) {
        const flags = entries.readInt32LE(entry * ENTRY_BYTES + 4);
        const own = (flags & PRESENT) !== 0 && (flags & FILE_OR_SHARED) === 0;
        if (own) start ??= at;
        else if (start !== undefined) {
          yield { start, end: at };
          start = undefined;
        }
      }
    }
    if (start !== undefined) yield { start, end: at };
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
