import type { FileHandle } from 'node:fs/promises';
import type { Range } from './block.ts';
import { systemPageBytes } from './system-page.ts';

/** Of the upper half of an entry of /proc/PID/pagemap; see proc_pid_pagemap(5). */
const PRESENT = 1 << 31;
const SWAPPED = 1 << 30;
const FILE_OR_SHARED = 1 << 29;
/** A page of a guard region (Linux 6.15), which counts as swapped and holds nothing. */
const GUARD = 1 << 26;
const ENTRY_BYTES = 8;
const ENTRIES_AT_ONCE = 64 * 1024;

/** A private page that the process has written and that is in memory. */
export function isPresent(flags: number): boolean {
  return (flags & PRESENT) !== 0 && (flags & FILE_OR_SHARED) === 0;
}

/** A private page that the process has written, in memory or swapped out. */
export function isWritten(flags: number): boolean {
  return (flags & (PRESENT | SWAPPED)) !== 0 && (flags & (FILE_OR_SHARED | GUARD)) === 0;
}

/**
 * Where in an area the pages are of which `isOne` holds, in the order of the addresses.
 *
 * @param pagemap `/proc/PID/pagemap`
 * @param isOne given the upper half of a page's entry
 * @throws when the process has ended
 */
export async function* ownRanges(
  pagemap: FileHandle,
  area: Range,
  isOne: (flags: number) => boolean,
): AsyncGenerator<Range> {
  const most = Math.min(ENTRIES_AT_ONCE, (area.end - area.start) / systemPageBytes);
  const entries = Buffer.allocUnsafe(most * ENTRY_BYTES);
  let start: number | undefined;
  for (let at = area.start; at < area.end; ) {
    const wanted = Math.min(entries.length, ((area.end - at) / systemPageBytes) * ENTRY_BYTES);
    const { bytesRead } = await pagemap.read(entries, 0, wanted, (at / systemPageBytes) * ENTRY_BYTES);
    if (bytesRead === 0) throw new Error(`no page map at ${at.toString(16)}`);
    for (let entry = 0; entry < bytesRead; entry += ENTRY_BYTES, at += systemPageBytes) {
      if (isOne(entries.readInt32LE(entry + 4))) start ??= at;
      else if (start !== undefined) {
        yield { start, end: at };
        start = undefined;
      }
    }
  }
  if (start !== undefined) yield { start, end: area.end };
}
