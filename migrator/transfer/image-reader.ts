import { readFileSync, statSync } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../errors.ts';
import type { BufferStore } from './buffers.ts';
import { CHUNK_BYTES } from './frame.ts';
import type { Piece } from './piece.ts';

const ZERO_BLOCK = Buffer.alloc(64 * 1024);

interface Reading {
  readonly handle: FileHandle;
  readonly file: number;
  offset: number;
}

/** The files that were begun and have not ended. Most are opened at the end, one after the other. */
class Readings {
  readonly #open = new Map<string, Reading>();
  #begun = 0;

  get(file: string): Reading | undefined {
    return this.#open.get(file);
  }

  /** The number of the next file. */
  next(): number {
    return this.#begun++;
  }

  async begin(dir: string, file: string): Promise<Reading> {
    const reading = { handle: await open(path.join(dir, file), 'r'), file: this.next(), offset: 0 };
    this.#open.set(file, reading);
    return reading;
  }

  async end(file: string): Promise<void> {
    const reading = this.#open.get(file);
    this.#open.delete(file);
    await reading?.handle.close();
  }

  async close(): Promise<void> {
    for (const file of [...this.#open.keys()]) await this.end(file);
  }
}

const SMALL_BYTES = 64 * 1024;

/** A growing file tells nobody by how much; what is there is looked for as often as this. */
const POLL_MS = 4;

/**
 * Every regular file below `dir`, piece by piece, while they are still being written: they must only grow until `written`
 * settles. A directory without files does not travel.
 *
 * @throws HoldfastError `IMAGES_UNSENDABLE` for anything but files and directories; what `written` rejects with, and
 * the reason of `signal`
 */
export async function* readImages(
  dir: string,
  buffers: BufferStore,
  options: { written?: Promise<unknown>; signal: AbortSignal },
): AsyncGenerator<Piece> {
  const { written = Promise.resolve(), signal } = options;
  const readings = new Readings();
  let complete = false;
  const settled = written.finally(() => {
    complete = true;
  });
  settled.catch(() => {}); // It is awaited below; until then a failure is not unhandled.
  try {
    for (;;) {
      signal.throwIfAborted();
      const last = complete; // Seen before the files are: then what is found is all there will be.
      if (last) await settled;
      for (const file of await listFiles(dir)) yield* readOn(dir, file, readings, buffers, last);
      if (last) return;
      await Promise.race([settled.catch(() => {}), sleep(POLL_MS)]);
    }
  } finally {
    await readings.close();
  }
}

/** The pieces that a file has got since it was last looked at: whole ones, and at its end the rest. */
async function* readOn(
  dir: string,
  file: string,
  readings: Readings,
  buffers: BufferStore,
  last: boolean,
): AsyncGenerator<Piece> {
  const { size } = statSync(path.join(dir, file));
  let reading = readings.get(file);
  if (last && reading === undefined && size <= SMALL_BYTES) {
    yield* readSmall(dir, file, readings.next(), size);
    return;
  }
  if (!last && size - (reading?.offset ?? 0) < CHUNK_BYTES) return;
  if (reading === undefined) {
    reading = await readings.begin(dir, file);
    yield { type: 'file', path: file };
  }
  yield* readTo(last ? size : size - ((size - reading.offset) % CHUNK_BYTES), file, reading, buffers);
  if (!last) return;
  await readings.end(file);
  yield { type: 'file-end', file: reading.file, sizeBytes: size };
}

async function listFiles(dir: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const file = path.relative(dir, path.join(entry.parentPath, entry.name));
    if (entry.isFile()) files.push(file);
    else if (!entry.isDirectory()) {
      throw new HoldfastError(
        'IMAGES_UNSENDABLE',
        `${file} in the checkpoint is neither a file nor a directory`,
      );
    }
  }
  return files.sort();
}

/** A checkpoint is many small files: each at one go, without the thread pool's round trips, costs a tenth. */
function* readSmall(dir: string, file: string, number: number, sizeBytes: number): Generator<Piece> {
  yield { type: 'file', path: file };
  const raw = readFileSync(path.join(dir, file)).subarray(0, sizeBytes);
  if (raw.length > 0) yield { type: 'data', file: number, offset: 0, length: raw.length, raw };
  yield { type: 'file-end', file: number, sizeBytes: raw.length };
}

/** One piece is read ahead of the one that is given. */
async function* readTo(
  end: number,
  file: string,
  reading: Reading,
  buffers: BufferStore,
): AsyncGenerator<Piece> {
  const read = async (offset: number) => {
    if (offset >= end) return undefined;
    const buffer = buffers.take();
    const { bytesRead } = await reading.handle.read(buffer, 0, Math.min(CHUNK_BYTES, end - offset), offset);
    if (bytesRead > 0) return { buffer, bytesRead };
    throw new HoldfastError('IMAGES_CHANGED', `${file} became shorter while it was sent`);
  };
  let next = read(reading.offset);
  try {
    for (let piece = await next; piece !== undefined; piece = await next) {
      const { buffer, bytesRead } = piece;
      next = read(reading.offset + bytesRead);
      yield* split(buffer, bytesRead, reading, buffers);
      reading.offset += bytesRead;
    }
  } finally {
    await next.catch(() => {}); // Before the file is closed.
  }
}

/** Cut the zeros out of what was read. A piece that is not the whole buffer is a copy. */
function* split(
  buffer: Buffer,
  length: number,
  { file, offset }: Reading,
  buffers: BufferStore,
): Generator<Piece> {
  let lent = false;
  for (let start = 0; start < length; ) {
    const zero = isZeroAt(buffer, start, length);
    let end = Math.min(start + ZERO_BLOCK.length, length);
    while (end < length && isZeroAt(buffer, end, length) === zero) {
      end = Math.min(end + ZERO_BLOCK.length, length);
    }
    if (zero) yield { type: 'zero', file, offset: offset + start, length: end - start };
    else yield dataPiece(start, end);
    start = end;
  }
  if (!lent) buffers.give(buffer);

  function dataPiece(start: number, end: number): Piece {
    if (start === 0 && end === length) {
      lent = true;
      return { type: 'data', file, offset, length, raw: buffer.subarray(0, length), buffer };
    }
    const copy = buffers.take();
    buffer.copy(copy, 0, start, end);
    return {
      type: 'data',
      file,
      offset: offset + start,
      length: end - start,
      raw: copy.subarray(0, end - start),
      buffer: copy,
    };
  }
}

function isZeroAt(buffer: Buffer, start: number, length: number): boolean {
  const end = Math.min(start + ZERO_BLOCK.length, length);
  return buffer.compare(ZERO_BLOCK, 0, end - start, start, end) === 0;
}
