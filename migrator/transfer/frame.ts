import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { damaged } from './errors.ts';

/** Images are read, encoded and written in pieces of at most this size. */
export const CHUNK_BYTES = 512 * 1024;
/** What parts of a piece are counted in: the smallest memory page of the platforms CRIU knows. */
export const PAGE_BYTES = 4096;
/** An encoded chunk that grew is sent as it was, so nothing on the wire is longer than a chunk. */
export const MAX_PAYLOAD_BYTES = CHUNK_BYTES;
export const MAX_HEADER_BYTES = 8 * 1024;
/** Two 32-bit big-endian numbers before each frame: the header's length and the payload's. */
export const PREFIX_BYTES = 8;

const Size = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** Files are numbered from 0 in the order they begin. */
const FileNumber = Type.Integer({ minimum: 0 });
/** A file begins; its pieces follow, in order and without a gap, between those of other files. */
const FileFrame = Type.Object({ type: Type.Literal('file'), path: Type.String() });
/** A file has come to its end. */
const FileEndFrame = Type.Object({ type: Type.Literal('file-end'), file: FileNumber, sizeBytes: Size });
const Payload = {
  /** Of the payload's raw bytes, before encoding. */
  rawBytes: Type.Integer({ minimum: 0, maximum: CHUNK_BYTES }),
  encoding: Type.String(),
  crc32: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
};
/** A piece of a file. Its bytes are the payload's or, with `parts`, put together from those. */
const DataFrame = Type.Object({
  type: Type.Literal('data'),
  file: FileNumber,
  offset: Size,
  length: Type.Integer({ minimum: 1, maximum: CHUNK_BYTES }),
  ...Payload,
  /**
   * Pairs of numbers, in the order of the bytes: how many pages, and where they come from: the place of the first one
   * among the kept pages, or one of `PartFrom`.
   */
  parts: Type.Optional(Type.Array(Type.Integer({ minimum: -2 }))),
});
/** Pages that the other end is to keep, after those it keeps already; the payload is their bytes. */
const KeepFrame = Type.Object({ type: Type.Literal('keep'), ...Payload });
/** A piece of nothing but zeros: no payload, and a hole at the destination. */
const ZeroFrame = Type.Object({
  type: Type.Literal('zero'),
  file: FileNumber,
  offset: Size,
  length: Size,
});
/** The last frame. Without it the stream was cut. */
const EndFrame = Type.Object({ type: Type.Literal('end'), files: Size, imageBytes: Size });

const Frame = Type.Union([FileFrame, FileEndFrame, DataFrame, KeepFrame, ZeroFrame, EndFrame]);
export type Frame = Static<typeof Frame>;
export type DataFrame = Static<typeof DataFrame>;
export type KeepFrame = Static<typeof KeepFrame>;

/** Where a part of a piece comes from when it is not kept at the other end. */
export const PartFrom = { payload: -1, zeros: -2 } as const;

const isFrame = TypeCompiler.Compile(Frame);

/** Prefix and header of a frame; the payload follows it on the wire. */
export function encodeFrame(frame: Frame, payloadBytes = 0): Buffer {
  return encodeHeader(frame, payloadBytes);
}

/** What begins every frame of ours, whatever the header says. */
export function encodeHeader(frame: object, payloadBytes: number): Buffer {
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
