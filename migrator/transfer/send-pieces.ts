import { crc32 } from 'node:zlib';
import { BufferStore } from './buffers.ts';
import type { Codec } from './codec.ts';
import { encode } from './encode.ts';
import { EncodingChoice, type Patience } from './encoding-choice.ts';
import { CHUNK_BYTES, encodeFrame } from './frame.ts';
import type { LinkMeter } from './link-meter.ts';
import type { Piece } from './piece.ts';

/**
 * Chunks read and being encoded ahead of the one that is written. The thread pool has four threads; more would only
 * hold memory.
 */
const AHEAD = 4;

interface ReadyFrame {
  readonly parts: readonly Uint8Array[];
  /** Gives the buffers back; called when the parts are out of this process's hands. */
  release(): void;
}

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
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: AHEAD + 2 });
  const { codec, meter, patience } = options;
  const choice = new EncodingChoice({ codec, meter, patience });
  const written: Promise<void>[] = [];
  let last = Promise.resolve();
  for await (const piece of options.pieces(buffers, options.signal)) {
    options.signal.throwIfAborted();
    if (piece.type === 'file-end') {
      files++;
      imageBytes += piece.sizeBytes;
    }
    last = writeAfter(last, toFrame(piece, choice, buffers), options);
    last.catch(() => {}); // It is awaited in its turn; until then a failure is not unhandled.
    written.push(last);
    // Whoever makes the pieces goes on meanwhile: the next ones are read while these are on their way.
    if (written.length > AHEAD) await written.shift();
  }
  await last;
  await options.write([encodeFrame({ type: 'end', files, imageBytes })]);
  return { imageBytes };
}

async function writeAfter(
  before: Promise<void>,
  ready: Promise<ReadyFrame>,
  options: SendOptions,
): Promise<void> {
  const [frame] = await Promise.all([ready, before]);
  options.signal.throwIfAborted();
  await options.write(frame.parts);
  frame.release();
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
