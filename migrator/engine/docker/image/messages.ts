import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { imageStreamInvalid } from './errors.ts';

/** Layers are read, encoded and written in chunks of at most this size. */
export const CHUNK_BYTES = 512 * 1024;
const MOST_LAYERS = 1024;
const MOST_NAMES = 1024;

/** Of a blob: a layer as an uncompressed tar, whose digest is its diff id, or an image's configuration, whose digest is its id. */
export const Digest = Type.String({ pattern: '^sha256:[0-9a-f]{64}$' });
const Size = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** What Docker calls a reference: a repository, and after the last colon a tag. */
const Name = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._/:\\[\\]-]*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$',
  maxLength: 512,
});

const Message = Type.Union([
  /** Source, first of all: the image, its layers from the bottom up, and the names it has. */
  Type.Object({
    type: Type.Literal('offer'),
    imageId: Digest,
    layers: Type.Array(Digest, { maxItems: MOST_LAYERS }),
    names: Type.Array(Name, { maxItems: MOST_NAMES }),
  }),
  /** Destination: what it lacks, and from which byte on. May come again after `sent`, until it is `done`. */
  Type.Object({
    type: Type.Literal('wants'),
    blobs: Type.Array(Type.Object({ digest: Digest, fromByte: Size }), { maxItems: MOST_LAYERS + 1 }),
    /** What it can decode besides `identity`. */
    encodings: Type.Array(Type.String(), { maxItems: 16 }),
  }),
  /** Source: a blob begins; its data follow, in order. `fromByte` is what was asked for, or 0. */
  Type.Object({ type: Type.Literal('blob'), digest: Digest, sizeBytes: Size, fromByte: Size }),
  /** Source: the next bytes of the blob, in the payload. */
  Type.Object({
    type: Type.Literal('data'),
    rawBytes: Type.Integer({ minimum: 1, maximum: CHUNK_BYTES }),
    encoding: Type.String(),
  }),
  /** Source: all that was wanted has been sent. */
  Type.Object({ type: Type.Literal('sent') }),
  /** Destination: the image is there, and these of its names are its own; the others are another image's. */
  Type.Object({
    type: Type.Literal('done'),
    names: Type.Array(Name, { maxItems: MOST_NAMES }),
    namesTaken: Type.Array(Name, { maxItems: MOST_NAMES }),
  }),
  /** Either: nothing comes of it. */
  Type.Object({
    type: Type.Literal('failed'),
    error: Type.Object({
      code: Type.String(),
      message: Type.String(),
      mend: Type.Optional(Type.String()),
      retryable: Type.Boolean(),
    }),
  }),
  /** Either, now and then: it is still at it, and has read this much. */
  Type.Object({ type: Type.Literal('here'), receivedBytes: Size }),
]);
export type Message = Static<typeof Message>;
export type MessageOf<T extends Message['type']> = Extract<Message, { type: T }>;

const isMessage = TypeCompiler.Compile(Message);

/** @throws HoldfastError `IMAGE_STREAM_INVALID` */
export function decodeMessage(header: Buffer): Message {
  let message: unknown;
  try {
    message = JSON.parse(header.toString('utf8'));
  } catch (cause) {
    throw imageStreamInvalid('a message that is not JSON', cause);
  }
  if (!isMessage.Check(message)) throw imageStreamInvalid('a message of no known kind');
  return message;
}
