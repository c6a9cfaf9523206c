import { crc32 } from 'node:zlib';
import { BufferStore } from './buffers.ts';
import { type Codec, Encoding } from './codec.ts';
import { EncodingChoice } from './encoding-choice.ts';
import { CHUNK_BYTES, encodeFrame } from './frame.ts';
import { type Piece, readImages } from './image-reader.ts';
import type { LinkMeter } from './link-meter.ts';

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
  /** The directory whose files are sent. */
  readonly dir: string;
  /** The best codec both ends have. */
  readonly codec: Codec | undefined;
  readonly meter: LinkMeter;
  /** Hands bytes to the link, and settles when it has taken them and wants more. */
  readonly write: (parts: readonly Uint8Array[]) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Write a checkpoint directory as frames: read, checked and encoded a few chunks ahead on the thread pool, written in
 * order, never faster than the link takes them.
 *
 * @throws HoldfastError `IMAGES_UNSENDABLE`, `IMAGES_CHANGED`; whatever `write` and `signal` give
 */
export async function sendImages(options: SendOptions): Promise<{ imageBytes: number }> {
  let files = 0;
  let imageBytes = 0;
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: AHEAD + 2 });
  const choice = new EncodingChoice({ codec: options.codec, meter: options.meter });
  const ahead: Promise<ReadyFrame>[] = [];
  const writeNext = async () => {
    const frame = await ahead.shift();
    if (!frame) return;
    options.signal.throwIfAborted();
    await options.write(frame.parts);
    frame.release();
  };
  for await (const piece of readImages(options.dir, buffers)) {
    options.signal.throwIfAborted();
    if (piece.type === 'file') {
      files++;
      imageBytes += piece.sizeBytes;
    }
    const ready = toFrame(piece, choice, buffers);
    ready.catch(() => {}); // It is awaited in its turn; until then a failure is not unhandled.
    ahead.push(ready);
    if (ahead.length > AHEAD) await writeNext();
  }
  while (ahead.length > 0) await writeNext();
  await options.write([encodeFrame({ type: 'end', files, imageBytes })]);
  return { imageBytes };
}

async function toFrame(piece: Piece, choice: EncodingChoice, buffers: BufferStore): Promise<ReadyFrame> {
  if (piece.type !== 'data') return { parts: [encodeFrame(piece)], release: () => {} };
  const { raw, offset } = piece;
  const codec = choice.choose(raw.length);
  const startedAt = performance.now();
  const encoded = codec && (await codec.encode(raw));
  const worthSending =
    encoded &&
    choice.encoded({
      sizeBytes: raw.length,
      encodedBytes: encoded.length,
      durationMs: performance.now() - startedAt,
    });
  const encoding = worthSending ? codec.encoding : Encoding.identity;
  const payload = worthSending ? encoded : raw;
  const header = encodeFrame(
    { type: 'data', offset, length: raw.length, encoding, crc32: crc32(raw) },
    payload.length,
  );
  return { parts: [header, payload], release: () => buffers.give(piece.buffer) };
}
