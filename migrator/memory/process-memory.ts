import { type FileHandle, open, readFile } from 'node:fs/promises';
import { PAGE_BYTES } from '../transfer/frame.ts';

/** Of the memory map, in hexadecimal: where an area begins and ends, and what it is called. */
const AREA = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/;
/** The kernel's own pages: every host has its own. */
const KERNEL_AREAS = new Set(['[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]']);

/** Of a pagemap entry's upper half: in memory, and not a file's or shared page. See proc_pid_pagemap(5). */
const PRESENT = 1 << 31;
const FILE_OR_SHARED = 1 << 29;
const ENTRY_BYTES = 8;
const ENTRIES_AT_ONCE = 64 * 1024;

/** Memory as it was at its address when it was read. */
export interface MemoryPiece {
  readonly address: number;
  readonly bytes: Buffer;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Read the private memory a process has written to, in the order of its addresses, while it runs on. Pages that it
 * changes, gives up or swaps out meanwhile are read as they are, or not at all: whoever reads this must not rely on it.
 *
 * The next piece is read while one is worked on: a piece is good until the next but one has been asked for.
 *
 * @param take gives the buffer for the next piece, which is at most as long; two, in turn, are enough
 * @yields whole pages; nothing for a process that has ended
 */
export async function* readMemory(pid: number, take: () => Buffer): AsyncGenerator<MemoryPiece> {
  const pieces = readInTurn(pid, take);
  let next = pieces.next();
  try {
    for (let piece = await next; !piece.done; piece = await next) {
      next = pieces.next();
      next.catch(() => {}); // It is awaited in its turn; until then a failure is not unhandled.
      yield piece.value;
    }
  } finally {
    await next.catch(() => {});
    await pieces.return(undefined);
  }
}

async function* readInTurn(pid: number, take: () => Buffer): AsyncGenerator<MemoryPiece> {
  const memory = await open(`/proc/${pid}/mem`, 'r').catch(() => undefined);
  const pagemap = await open(`/proc/${pid}/pagemap`, 'r').catch(() => undefined);
  try {
    if (memory === undefined || pagemap === undefined) return;
    const entries = Buffer.allocUnsafe(ENTRIES_AT_ONCE * ENTRY_BYTES);
    for (const area of await writtenAreas(pid)) {
      for await (const range of presentRanges(pagemap, area, entries)) {
        yield* readRange(memory, range, take);
      }
    }
  } finally {
    await memory?.close();
    await pagemap?.close();
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

async function* presentRanges(pagemap: FileHandle, area: Range, entries: Buffer): AsyncGenerator<Range> {
  let start: number | undefined;
  let at = area.start;
  while (at < area.end) {
    const wanted = Math.min(entries.length, ((area.end - at) / systemPageBytes) * ENTRY_BYTES);
    const read = await pagemap
      .read(entries, 0, wanted, (at / systemPageBytes) * ENTRY_BYTES)
      .catch(() => undefined);
    const count = Math.floor((read?.bytesRead ?? 0) / ENTRY_BYTES);
    if (count === 0) break;
    for (let entry = 0; entry < count; entry++, at += systemPageBytes) {
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

async function* readRange(memory: FileHandle, range: Range, take: () => Buffer): AsyncGenerator<MemoryPiece> {
  for (let at = range.start; at < range.end; ) {
    const buffer = take();
    const wanted = Math.min(buffer.length, range.end - at);
    const read = await memory.read(buffer, 0, wanted, at).catch(() => undefined);
    const length = (read?.bytesRead ?? 0) - ((read?.bytesRead ?? 0) % PAGE_BYTES);
    if (length === 0) return; // Unmapped meanwhile.
    yield { address: at, bytes: buffer.subarray(0, length) };
    at += length;
  }
}

/** The kernel's page size, from the auxiliary vector (AT_PAGESZ, see getauxval(3)). */
const AT_PAGESZ = 6n;
const systemPageBytes = await readSystemPageBytes();

async function readSystemPageBytes(): Promise<number> {
  const vector = await readFile('/proc/self/auxv').catch(() => Buffer.alloc(0));
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
  }
  return PAGE_BYTES;
}
