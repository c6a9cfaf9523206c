import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastError } from '../errors.ts';
import type { BufferStore } from './buffers.ts';
import { CHUNK_BYTES } from './frame.ts';

const ZERO_BLOCK = Buffer.alloc(64 * 1024);

export type Piece =
  | { readonly type: 'file'; readonly path: string; readonly sizeBytes: number }
  /** `buffer` was taken from the store and is the receiver's to give back; `raw` is the part of it that counts. */
  | { readonly type: 'data'; readonly offset: number; readonly raw: Buffer; readonly buffer: Buffer }
  | { readonly type: 'zero'; readonly offset: number; readonly length: number };

/**
 * Every regular file below `dir`, piece by piece in the order they are sent. A directory without files does not
 * travel.
 *
 * @throws HoldfastError `IMAGES_UNSENDABLE` for anything but files and directories
 */
export async function* readImages(dir: string, buffers: BufferStore): AsyncGenerator<Piece> {
  for (const file of await listFiles(dir)) yield* readFile(dir, file, buffers);
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

async function* readFile(dir: string, file: string, buffers: BufferStore): AsyncGenerator<Piece> {
  const handle = await open(path.join(dir, file), 'r');
  try {
    const { size } = await stat(path.join(dir, file));
    yield { type: 'file', path: file, sizeBytes: size };
    for (let offset = 0; offset < size; ) {
      const buffer = buffers.take();
      const { bytesRead } = await handle.read(buffer, 0, Math.min(CHUNK_BYTES, size - offset), offset);
      if (bytesRead === 0) {
        throw new HoldfastError('IMAGES_CHANGED', `${file} became shorter while it was sent`);
      }
      yield* split(buffer, bytesRead, offset, buffers);
      offset += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** Cut the zeros out of what was read. A piece that is not the whole buffer is a copy. */
function* split(buffer: Buffer, length: number, offset: number, buffers: BufferStore): Generator<Piece> {
  let lent = false;
  for (let start = 0; start < length; ) {
    const zero = isZeroAt(buffer, start, length);
    let end = Math.min(start + ZERO_BLOCK.length, length);
    while (end < length && isZeroAt(buffer, end, length) === zero) {
      end = Math.min(end + ZERO_BLOCK.length, length);
    }
    if (zero) yield { type: 'zero', offset: offset + start, length: end - start };
    else yield dataPiece(start, end);
    start = end;
  }
  if (!lent) buffers.give(buffer);

  function dataPiece(start: number, end: number): Piece {
    if (start === 0 && end === length) {
      lent = true;
      return { type: 'data', offset, raw: buffer.subarray(0, length), buffer };
    }
    const copy = buffers.take();
    buffer.copy(copy, 0, start, end);
    return { type: 'data', offset: offset + start, raw: copy.subarray(0, end - start), buffer: copy };
  }
}

function isZeroAt(buffer: Buffer, start: number, length: number): boolean {
  const end = Math.min(start + ZERO_BLOCK.length, length);
  return buffer.compare(ZERO_BLOCK, 0, end - start, start, end) === 0;
}
