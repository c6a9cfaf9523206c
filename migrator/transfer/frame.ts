import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { damaged } from './errors.ts';

/** Images are read, encoded and written in pieces of at most this size. */
export const CHUNK_BYTES = 512 * 1024;
/** An encoded chunk that grew is sent as it was, so nothing on the wire is longer than a chunk. */
export const MAX_PAYLOAD_BYTES = CHUNK_BYTES;
export const MAX_HEADER_BYTES = 8 * 1024;
/** Two 32-bit big-endian numbers before each frame: the header's length and the payload's. */
export const PREFIX_BYTES = 8;

const Size = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** A file begins; its chunks follow, in order and without a gap. */
const FileFrame = Type.Object({ type: Type.Literal('file'), path: Type.String(), sizeBytes: Size });
/** A piece of the file that began last; the payload is its bytes under `encoding`. */
const DataFrame = Type.Object({
  type: Type.Literal('data'),
  offset: Size,
  length: Type.Integer({ minimum: 1, maximum: CHUNK_BYTES }),
  encoding: Type.String(),
  /** Of the raw bytes, before encoding. */
  crc32: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
});
/** A piece of nothing but zeros: no payload, and a hole at the destination. */
const ZeroFrame = Type.Object({ type: Type.Literal('zero'), offset: Size, length: Size });
/** The last frame. Without it the stream was cut. */
const EndFrame = Type.Object({ type: Type.Literal('end'), files: Size, imageBytes: Size });

const Frame = Type.Union([FileFrame, DataFrame, ZeroFrame, EndFrame]);
export type Frame = Static<typeof Frame>;
export type DataFrame = Static<typeof DataFrame>;

const isFrame = TypeCompiler.Compile(Frame);

/** Prefix and header of a frame; the payload follows it on the wire. */
export function encodeFrame(frame: Frame, payloadBytes = 0): Buffer {
  const header = JSON.stringify(frame);
  const headerBytes = Buffer.byteLength(header);
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + headerBytes);
  bytes.writeUInt32BE(headerBytes, 0);
  bytes.writeUInt32BE(payloadBytes, 4);
  bytes.write(header, PREFIX_BYTES);
  return bytes;
}

/** @throws HoldfastError `IMAGES_DAMAGED` for lengths no sender writes */
export function decodePrefix(prefix: Buffer): { headerBytes: number; payloadBytes: number } {
  const headerBytes = prefix.readUInt32BE(0);
  const payloadBytes = prefix.readUInt32BE(4);
  if (headerBytes > MAX_HEADER_BYTES || payloadBytes > MAX_PAYLOAD_BYTES) {
    throw damaged(`a frame of ${headerBytes} + ${payloadBytes} bytes`);
  }
  return { headerBytes, payloadBytes };
}

/** @throws HoldfastError `IMAGES_DAMAGED` */
export function decodeHeader(header: Buffer): Frame {
  let frame: unknown;
  try {
    frame = JSON.parse(header.toString('utf8'));
  } catch (cause) {
    throw damaged('a frame header that is not JSON', cause);
  }
  if (!isFrame.Check(frame)) throw damaged('a frame header of no known kind');
  return frame;
}
