import { crc32 } from 'node:zlib';
import { BufferStore } from './buffers.ts';
import type { Codec } from './codec.ts';
import { encode } from './encode.ts';
import { EncodingChoice, type Patience } from './encoding-choice.ts';
import { CHUNK_BYTES, encodeFrame } from './frame.ts';
import { FrameLine, type ReadyFrame } from './frame-line.ts';
import type { LinkMeter } from './link-meter.ts';
import type { Piece } from './piece.ts';

/** As many as are in use at once. */
const BUFFERS_KEPT = 6;

export interface SendOptions {
  /** Its signal is the one below: what waits for more to send must end with it. */
  readonly pieces: (buffers: BufferStore, signal: AbortSignal) => AsyncIterable<Piece>;
  /** The best codec both ends have. */
  readonly codec: Codec | undefined;
  readonly patience?: Patience | undefined;
  readonly meter: LinkMeter;
  /** Hands bytes to the link, and settles when it has taken them and wants more. */
  readonly write: (parts: readonly Uint8Array[]) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Write pieces as frames: read, checked and encoded a few ahead on the thread pool, written in order, never faster than
 * the link takes them.
 *
 * @throws whatever `pieces`, `write` and `signal` give
 */
export async function sendPieces(options: SendOptions): Promise<{ imageBytes: number }> {
  let files = 0;
  let imageBytes = 0;
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: BUFFERS_KEPT });
  const { codec, meter, patience, signal } = options;
  const choice = new EncodingChoice({ codec, meter, patience });
  const line = new FrameLine(options);
  for await (const piece of options.pieces(buffers, signal)) {
    signal.throwIfAborted();
    if (piece.type === 'file-end') {
      files++;
      imageBytes += piece.sizeBytes;
    }
    line.add(toFrame(piece, choice, buffers), heldBytes(piece));
    // Whoever makes the pieces goes on meanwhile: the next ones are read while these are on their way.
    await line.room();
  }
  await line.empty();
  await options.write([encodeFrame({ type: 'end', files, imageBytes })]);
  return { imageBytes };
}

function heldBytes(piece: Piece): number {
  return 'raw' in piece ? (piece.buffer ?? piece.raw).length : 0;
}

async function toFrame(piece: Piece, choice: EncodingChoice, buffers: BufferStore): Promise<ReadyFrame> {
  if (piece.type !== 'data' && piece.type !== 'keep') {
    return { parts: [encodeFrame(piece)], release: () => {} };
  }
  const { encoding, payload } = await encode(piece.raw, choice);
  const about = { encoding, rawBytes: piece.raw.length, crc32: crc32(piece.raw) };
  const header = encodeFrame(
    piece.type === 'keep'
      ? { type: 'keep', ...about }
      : {
          type: 'data',
          file: piece.file,
          offset: piece.offset,
          length: piece.length,
          ...about,
          ...(piece.parts ? { parts: piece.parts } : {}),
        },
    payload.length,
  );
  const { buffer } = piece;
  return { parts: [header, payload], release: () => buffer && buffers.give(buffer) };
}
