import type { BufferStore } from '../../../transfer/buffers.ts';
import { CHUNK_BYTES } from './messages.ts';

export interface Chunk {
  readonly raw: Buffer;
  /** What `raw` is part of, to be given back to the store. */
  readonly buffer: Buffer;
}

/** The bytes of a stream from `fromByte` on, in chunks of one size but for the last. */
export async function* chunksOf(
  content: AsyncIterable<Buffer>,
  fromByte: number,
  buffers: BufferStore,
): AsyncGenerator<Chunk> {
  let skipBytes = fromByte;
  let buffer = buffers.take();
  let filled = 0;
  for await (const piece of content) {
    let at = Math.min(skipBytes, piece.length);
    skipBytes -= at;
    while (at < piece.length) {
      const copied = piece.copy(buffer, filled, at);
      at += copied;
      filled += copied;
      if (filled < CHUNK_BYTES) continue;
      yield { raw: buffer, buffer };
      buffer = buffers.take();
      filled = 0;
    }
  }
  if (filled > 0) yield { raw: buffer.subarray(0, filled), buffer };
}
