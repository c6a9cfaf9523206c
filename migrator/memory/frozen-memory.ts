import type { IncomingMessage, ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';
import { HoldfastError, toErrorBody } from '../errors.ts';
import { BufferStore } from '../transfer/buffers.ts';
import { ByteReader } from '../transfer/byte-reader.ts';
import { codecs } from '../transfer/codec.ts';
import { asItIs, encode } from '../transfer/encode.ts';
import { EncodingChoice } from '../transfer/encoding-choice.ts';
import { linkBroken } from '../transfer/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../transfer/frame.ts';
import { LinkMeter } from '../transfer/link-meter.ts';
import { AnswerPart, type Ask, encodeReply, readAsk } from './memory-frame.ts';
import { HASH_BYTES, hasHash } from './page-hash.ts';
import { ProcessMemories } from './process-memories.ts';

/** Answers being encoded, or waiting for their turn on the link. */
const AHEAD = 4;
/** Somebody waits for a few pages: they are not to queue for the thread pool. */
const WORTH_ENCODING_BYTES = 32 * 1024;

export interface MemoryFigures {
  asks: number;
  /** Pages that went over, and those that did not have to. */
  sentPages: number;
  keptPages: number;
  zeroPages: number;
}

/**
 * Answer questions for the memory of frozen processes, in the order they come, for as long as they come: what is asked
 * for, the other end keeps, or it is nothing but zeros, or it is sent. Nothing is remembered from one question to the
 * next, so an asker whose connection broke asks again. The stream is told in docs/lazy-pages.md.
 *
 * The caller answers for the processes being frozen until `signal` fires. The response is ended, whatever happens; what
 * it was ended by is told to the asker.
 *
 * @param options.processes the container's, by the pids of this host
 * @throws HoldfastError `MEMORY_UNREADABLE`, `LINK_BROKEN`, `IMAGES_DAMAGED`, and the reason of `signal`
 */
export async function answerMemory(
  request: IncomingMessage,
  response: ServerResponse,
  options: { processes: () => Promise<readonly number[]>; signal: AbortSignal },
): Promise<MemoryFigures> {
  const { signal } = options;
  const figures: MemoryFigures = { asks: 0, sentPages: 0, keptPages: 0, zeroPages: 0 };
  const accepted = request.headers['accept-encoding'] ?? '';
  const codec = codecs.find(({ encoding }) => accepted.split(/\s*,\s*/).includes(encoding));
  const meter = new LinkMeter();
  const choice = new EncodingChoice({ codec, meter });
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: AHEAD + 2 });
  const reader = new ByteReader(request, () => {});
  const abandon = () => request.destroy();
  signal.addEventListener('abort', abandon, { once: true });
  response.on('error', () => {}); // An asker that has gone is noticed at the request.
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  response.flushHeaders();
  const memories = new ProcessMemories(await options.processes());
  const written: Promise<void>[] = [];
  let last = Promise.resolve();
  try {
    while (!(await reader.ended())) {
      const { header: ask, payload: hashes } = await readAsk(reader);
      signal.throwIfAborted();
      figures.asks++;
      meter.acked(ask.receivedBytes);
      const buffer = buffers.take();
      const bytes = buffer.subarray(0, ask.pages * PAGE_BYTES);
      await memories.read(ask.pid, ask.address, bytes);
      const found = compare(ask, hashes, bytes);
      figures.sentPages += found.raw.length / PAGE_BYTES;
      figures.keptPages += found.keptPages;
      figures.zeroPages += found.zeroPages;
      last = answerAfter(last, ask, found, { choice, meter, response }).then(() => buffers.give(buffer));
      last.catch(() => {}); // It is awaited in its turn; until then a failure is not unhandled.
      written.push(last);
      if (written.length > AHEAD) await written.shift();
    }
    await last;
    return figures;
  } catch (error) {
    const reason: unknown = signal.aborted ? signal.reason : error;
    const told = reason instanceof HoldfastError ? reason : linkBroken('the asker', reason);
    await last.catch(() => {});
    response.write(encodeReply({ error: toErrorBody(told) }));
    throw told;
  } finally {
    signal.removeEventListener('abort', abandon);
    memories.close();
    response.end();
  }
}

interface Found {
  readonly parts: number[];
  /** The pages that have to go over, side by side. */
  readonly raw: Buffer;
  readonly keptPages: number;
  readonly zeroPages: number;
}

const zeroPage = Buffer.alloc(PAGE_BYTES);

/** What the asker must be sent of these pages. Moves them together in their own buffer. */
function compare(ask: Ask, hashes: Buffer, bytes: Buffer): Found {
  const parts: number[] = [];
  const count = { [AnswerPart.payload]: 0, [AnswerPart.zeros]: 0, [AnswerPart.kept]: 0 };
  let before: number | undefined;
  for (let index = 0; index < ask.pages; index++) {
    const page = bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
    const from = fateOf(page, hashes, index * HASH_BYTES);
    if (from === AnswerPart.payload) page.copy(bytes, count[AnswerPart.payload] * PAGE_BYTES);
    if (from === before) parts[parts.length - 2] = (parts.at(-2) ?? 0) + 1;
    else parts.push(1, from);
    before = from;
    count[from]++;
  }
  const raw = bytes.subarray(0, count[AnswerPart.payload] * PAGE_BYTES);
  return { parts, raw, keptPages: count[AnswerPart.kept], zeroPages: count[AnswerPart.zeros] };
}

function fateOf(page: Buffer, hashes: Buffer, offset: number): -1 | -2 | -3 {
  if (zeroPage.equals(page)) return AnswerPart.zeros;
  const kept = hashes.length > 0 && hasHash(page, hashes, offset);
  return kept ? AnswerPart.kept : AnswerPart.payload;
}

async function answerAfter(
  before: Promise<void>,
  ask: Ask,
  { parts, raw }: Found,
  to: { choice: EncodingChoice; meter: LinkMeter; response: ServerResponse },
): Promise<void> {
  const { encoding, payload } =
    raw.length < WORTH_ENCODING_BYTES ? asItIs(raw) : await encode(raw, to.choice);
  const header = encodeReply(
    {
      pid: ask.pid,
      address: ask.address,
      pages: ask.pages,
      parts,
      rawBytes: raw.length,
      encoding,
      crc32: crc32(raw),
    },
    payload.length,
  );
  await before;
  to.meter.handed(header.length + payload.length);
  await write(to.response, [header, payload]);
}

/** Settles when the kernel has all of it: no second answer piles up here. */
function write(response: ServerResponse, parts: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve, reject) => {
    if (response.destroyed) {
      reject(linkBroken('the asker', 'closed'));
      return;
    }
    const closed = () => reject(linkBroken('the asker', 'closed'));
    response.once('close', closed);
    response.cork();
    parts.forEach((part, index) => {
      if (index < parts.length - 1) response.write(part);
      else {
        response.write(part, (error) => {
          response.removeListener('close', closed);
          if (error) reject(linkBroken('the asker', error));
          else resolve();
        });
      }
    });
    response.uncork();
  });
}
