import { type FileHandle, open } from 'node:fs/promises';
import type { Range } from '../memory/block.ts';
import { isWritten, ownRanges } from '../memory/own-ranges.ts';
import type { Area, SharedContent } from './areas.ts';
import { memoryUnreadable } from './errors.ts';
import { RangeSums, WindowOf } from './range-sums.ts';

const PIECE_BYTES = 1024 * 1024;

/** Bytes that the kernel writes on its own, left out of every sum. */
export interface Unsummed {
  readonly address: number;
  readonly sizeBytes: number;
}

/** Sum what is in these areas of a process that stands still. @throws HoldfastError `MEMORY_UNREADABLE` */
export async function sumAreas(
  pid: number,
  areas: readonly Area[],
  options: { readonly unsummed: readonly Unsummed[]; readonly signal: AbortSignal },
): Promise<RangeSums> {
  const { unsummed, signal } = options;
  const sums = new RangeSums(unsummed);
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  const opened: FileHandle[] = [];
  try {
    const memory = await open(`/proc/${pid}/mem`, 'r');
    opened.push(memory);
    const pagemap = await open(`/proc/${pid}/pagemap`, 'r');
    opened.push(pagemap);
    for (const overFile of [false, true]) {
      const what = overFile ? WindowOf.pagesOverFile : WindowOf.pages;
      for (const area of areas) {
        if (!area.writtenPages || area.overFile !== overFile) continue;
        for await (const range of ownRanges(pagemap, area, isWritten)) {
          await addWritten(sums, what, memory, range, buffer, signal);
        }
      }
    }
    for (const { shared, start, end } of areas) {
      if (shared !== undefined) await addShared(sums, shared, { start, end }, buffer, signal);
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw memoryUnreadable(pid, cause);
  } finally {
    for (const file of opened) await file.close();
  }
  sums.end();
  return sums;
}

async function addWritten(
  sums: RangeSums,
  what: WindowOf,
  memory: FileHandle,
  { start, end }: Range,
  buffer: Buffer,
  signal: AbortSignal,
): Promise<void> {
  for (let at = start; at < end; ) {
    signal.throwIfAborted();
    const { bytesRead } = await memory.read(buffer, 0, Math.min(PIECE_BYTES, end - at), at);
    if (bytesRead === 0) throw new Error(`nothing to read at ${at.toString(16)}`);
    sums.add(what, at, buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** Read from the object itself and not through the mapping, which would give memory to its holes. */
async function addShared(
  sums: RangeSums,
  { file, offset }: SharedContent,
  { start, end }: Range,
  buffer: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const object = await open(file, 'r');
  try {
    for (let at = start; at < end; ) {
      signal.throwIfAborted();
      const wanted = Math.min(PIECE_BYTES, end - at);
      const { bytesRead } = await object.read(buffer, 0, wanted, offset + at - start);
      if (bytesRead === 0) return; // The object ends before the mapping does.
      sums.add(WindowOf.shared, at, buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await object.close();
  }
}
