import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { ByteReader } from '../transfer/byte-reader.ts';
import { damaged } from '../transfer/errors.ts';
import { CHUNK_BYTES, decodePrefix, encodeHeader, PAGE_BYTES, PREFIX_BYTES } from '../transfer/frame.ts';
import { HASH_BYTES } from './page-hash.ts';

/** What one question may ask for, so that no answer is longer than a chunk. */
export const MOST_PAGES = CHUNK_BYTES / PAGE_BYTES;
/** Of pages that are only compared. */
export const MOST_COMPARED = 1024;

const Range = {
  /** The process, by the pid it has inside its container. */
  pid: Type.Integer({ minimum: 1 }),
  address: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, multipleOf: PAGE_BYTES }),
  pages: Type.Integer({ minimum: 1, maximum: MOST_COMPARED }),
};

/** Pages of a frozen process that are asked for. The payload is empty or the hashes of what the asker keeps of each. */
const Ask = Type.Object({
  ...Range,
  /** How much of the answers has arrived: what is on its way tells the answerer how fast the link is. */
  receivedBytes: Type.Integer({ minimum: 0 }),
  /** The pages are not wanted, only which of the hashes hold. */
  compareOnly: Type.Boolean(),
});
export type Ask = Static<typeof Ask>;

/** Where a page of an answer comes from. The first two are those of `PartFrom`. */
export const AnswerPart = {
  payload: -1,
  zeros: -2,
  /** What the asker keeps is right. */
  kept: -3,
  /** What the asker keeps is not right: the page was only compared. */
  changed: -4,
} as const;

const Answer = Type.Object({
  ...Range,
  /** Pairs of numbers, in the order of the pages: how many, and where they come from (`AnswerPart`). */
  parts: Type.Array(Type.Integer({ minimum: -4, maximum: MOST_COMPARED }), { maxItems: 2 * MOST_COMPARED }),
  rawBytes: Type.Integer({ minimum: 0, maximum: CHUNK_BYTES }),
  encoding: Type.String(),
  crc32: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
});
export type Answer = Static<typeof Answer>;

/** The last that is said on a stream that cannot go on. */
const Refusal = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    mend: Type.Optional(Type.String()),
    retryable: Type.Boolean(),
  }),
});
export type Refusal = Static<typeof Refusal>;

const isAsk = TypeCompiler.Compile(Ask);
const isReply = TypeCompiler.Compile(Type.Union([Answer, Refusal]));

export interface Framed<T> {
  readonly header: T;
  readonly payload: Buffer;
  /** On the wire, without what TLS and HTTP add. */
  readonly sizeBytes: number;
}

export function encodeAsk(ask: Ask, hashes: Buffer | undefined): Buffer {
  const header = encodeHeader(ask, hashes?.length ?? 0);
  return hashes ? Buffer.concat([header, hashes]) : header;
}

export function encodeReply(reply: Answer | Refusal, payloadBytes = 0): Buffer {
  return encodeHeader(reply, payloadBytes);
}

/** @throws HoldfastError `IMAGES_DAMAGED`, `IMAGES_TRUNCATED` */
export async function readAsk(reader: ByteReader): Promise<Framed<Ask>> {
  const framed = await readFramed(reader, (value) => (isAsk.Check(value) ? value : undefined));
  const { payload, header } = framed;
  if (!header.compareOnly && header.pages > MOST_PAGES)
    throw damaged(`${header.pages} pages asked for at once`);
  if (header.compareOnly && payload.length === 0) throw damaged('nothing to compare with');
  if (payload.length !== 0 && payload.length !== header.pages * HASH_BYTES) {
    throw damaged(`hashes of ${payload.length} bytes for ${header.pages} pages`);
  }
  return framed;
}

/** @throws HoldfastError `IMAGES_DAMAGED`, `IMAGES_TRUNCATED` */
export async function readReply(reader: ByteReader): Promise<Framed<Answer | Refusal>> {
  const framed = await readFramed(reader, (value) => (isReply.Check(value) ? value : undefined));
  if ('error' in framed.header) return framed;
  const { parts, pages, rawBytes } = framed.header;
  let told = 0;
  let sent = 0;
  for (let at = 0; at < parts.length; at += 2) {
    const [count = 0, from = 0] = parts.slice(at, at + 2);
    if (count < 1 || from >= 0) throw damaged('an answer of no known kind');
    told += count;
    if (from === AnswerPart.payload) sent += count;
  }
  if (told !== pages || sent * PAGE_BYTES !== rawBytes) throw damaged('an answer that does not add up');
  return framed;
}

async function readFramed<T>(
  reader: ByteReader,
  check: (value: unknown) => T | undefined,
): Promise<Framed<T>> {
  const { headerBytes, payloadBytes } = decodePrefix(await reader.fill(Buffer.alloc(PREFIX_BYTES)));
  const text = (await reader.fill(Buffer.alloc(headerBytes))).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged('a frame header that is not JSON', cause);
  }
  const header = check(value);
  if (header === undefined) throw damaged('a frame header of no known kind');
  const payload = await reader.fill(Buffer.allocUnsafeSlow(payloadBytes));
  return { header, payload, sizeBytes: PREFIX_BYTES + headerBytes + payloadBytes };
}
