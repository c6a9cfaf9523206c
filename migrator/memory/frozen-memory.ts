import type { IncomingMessage, ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';
import { anySignal } from '../any-signal.ts';
import { HoldfastError, toErrorBody } from '../errors.ts';
import { BufferStore } from '../transfer/buffers.ts';
import { ByteReader } from '../transfer/byte-reader.ts';
import { codecs } from '../transfer/codec.ts';
import { asItIs, encode } from '../transfer/encode.ts';
import { EncodingChoice } from '../transfer/encoding-choice.ts';
import { linkBroken } from '../transfer/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../transfer/frame.ts';
import type { LinkFlow } from '../transfer/link-flow.ts';
import { LinkMeter } from '../transfer/link-meter.ts';
import type { Traffic } from '../transfer/traffic.ts';
import { comparePages } from './compare-pages.ts';
import { AnswerPart, type Ask, encodeReply, readAsk } from './memory-frame.ts';
import { HASH_BYTES, hasHash } from './page-hash.ts';
import type { PageReaders } from './page-readers.ts';
import { ProcessMemories } from './process-memories.ts';
import type { SeenAhead } from './seen-ahead.ts';

/** Answers being encoded, or waiting for their turn on the link. */
const AHEAD = 4;
/** Somebody waits for a few pages: they are not to queue for the thread pool. */
const WORTH_ENCODING_BYTES = 32 * 1024;

/**
 * Answer questions for the memory of frozen processes, in the order they come, for as long as they come: what is asked
 * for, the other end keeps, or it is nothing but zeros, or it is sent, or, where it is only to be compared, it differs.
 * Nothing is remembered from one question to the next, so an asker whose connection broke asks again. The stream is told in
 * docs/lazy-pages.md.
 *
 * The caller answers for the processes being frozen until `signal` fires. The response is ended, whatever happens; what
 * it was ended by is told to the asker.
 *
 * @param options.processes the container's, by the pids of this host
 * @param options.flow whose turns it is answered in, as what `traffic` says
 * @param options.readers compare what is only to be compared, and was not seen before
 * @throws HoldfastError `MEMORY_UNREADABLE`, `MEMORY_READER_FAILED`, `LINK_BROKEN`, `IMAGES_DAMAGED`, and the reason of
 *   `signal`
 */
export async function answerMemory(
  request: IncomingMessage,
  response: ServerResponse,
  options: {
    processes: () => Promise<readonly number[]>;
    readers: PageReaders;
    flow: LinkFlow;
    traffic: Traffic;
    seen?: SeenAhead | undefined;
    signal: AbortSignal;
  },
): Promise<void> {
  const { readers, seen, flow, traffic, signal } = options;
  const accepted = request.headers['accept-encoding'] ?? '';
  const codec = codecs.find(({ encoding }) => accepted.split(/\s*,\s*/).includes(encoding));
  const meter = new LinkMeter({ limitBpms: flow.limitBpms });
  const choice = new EncodingChoice({ codec, meter });
  const buffers = new BufferStore({ sizeBytes: CHUNK_BYTES, keep: AHEAD + 2 });
  const reader = new ByteReader(request, () => {});
  const gone = new AbortController();
  response.once('close', () => gone.abort(linkBroken('the asker', 'closed')));
  const abandon = () => request.destroy();
  signal.addEventListener('abort', abandon, { once: true });
  response.on('error', () => {}); // An asker that has gone is noticed at the request.
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  response.flushHeaders();
  const stop = anySignal([gone.signal, signal]);
  const send = (parts: readonly Uint8Array[]) =>
    flow.send(traffic, parts, (slice) => write(response, slice), stop);
  const memories = new ProcessMemories(await options.processes());
  const written: Promise<void>[] = [];
  let last = Promise.resolve();
  try {
    while (!(await reader.ended())) {
      const { header: ask, payload: hashes } = await readAsk(reader);
      signal.throwIfAborted();
      meter.acked(ask.receivedBytes);
      const buffer = buffers.take();
      const fates = new Int8Array(ask.pages);
      let raw = buffer.subarray(0, 0);
      if (ask.compareOnly) fates.set(await comparePages(ask, hashes, { memories, readers, seen, signal }));
      else {
        const bytes = buffer.subarray(0, ask.pages * PAGE_BYTES);
        await memories.read(ask.pid, ask.address, bytes);
        raw = keepTogether(bytes, hashes, fates);
      }
      last = answerAfter(last, { ask, fates, raw }, { choice, meter, send });
      last = last.finally(() => buffers.give(buffer));
      last.catch(() => {}); // It is awaited in its turn; until then a failure is not unhandled.
      written.push(last);
      if (written.length > AHEAD) await written.shift();
    }
    await last;
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

const zeroPage = Buffer.alloc(PAGE_BYTES);

/**
 * Tell what becomes of each of these pages, and move those that have to go over together in their own buffer.
 *
 * @returns the pages that have to go over
 */
function keepTogether(bytes: Buffer, hashes: Buffer, fates: Int8Array): Buffer {
  let sentBytes = 0;
  for (let index = 0; index < fates.length; index++) {
    const page = bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
    const fate = fateOf(page, hashes, index * HASH_BYTES);
    fates[index] = fate;
    if (fate !== AnswerPart.payload) continue;
    page.copy(bytes, sentBytes);
    sentBytes += PAGE_BYTES;
  }
  return bytes.subarray(0, sentBytes);
}

function fateOf(page: Buffer, hashes: Buffer, offset: number): -1 | -2 | -3 {
  if (zeroPage.equals(page)) return AnswerPart.zeros;
  const kept = hashes.length > 0 && hasHash(page, hashes, offset);
  return kept ? AnswerPart.kept : AnswerPart.payload;
}

/** Pairs of numbers: how many pages one after the other, and what becomes of them. */
function partsOf(fates: Int8Array): number[] {
  const parts: number[] = [];
  let since = 0;
  for (let index = 1; index <= fates.length; index++) {
    if (index < fates.length && fates[index] === fates[since]) continue;
    parts.push(index - since, fates[since] ?? 0);
    since = index;
  }
  return parts;
}

async function answerAfter(
  before: Promise<void>,
  { ask, fates, raw }: { ask: Ask; fates: Int8Array; raw: Buffer },
  to: { choice: EncodingChoice; meter: LinkMeter; send: (parts: readonly Uint8Array[]) => Promise<void> },
): Promise<void> {
  const { encoding, payload } =
    raw.length < WORTH_ENCODING_BYTES ? asItIs(raw) : await encode(raw, to.choice);
  const header = encodeReply(
    {
      pid: ask.pid,
      address: ask.address,
      pages: ask.pages,
      parts: partsOf(fates),
      rawBytes: raw.length,
      encoding,
      crc32: crc32(raw),
    },
    payload.length,
  );
  await before;
  to.meter.handed(header.length + payload.length);
  await to.send([header, payload]);
}

/**
 * Node's HTTP parser may be at work on the questions right now, and a write to a TLS connection that has more to be read
 * would enter it a second time, from within itself: it ends the process.
 */
function apart(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Settles when the kernel has all of it: no second answer piles up here. */
async function write(response: ServerResponse, parts: readonly Uint8Array[]): Promise<void> {
  await apart();
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
