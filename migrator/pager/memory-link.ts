import type { ClientRequest, IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { anySignal } from '../any-signal.ts';
import { type ErrorBody, fromErrorBody, type HoldfastError } from '../errors.ts';
import { type Answer, encodeAsk, readReply } from '../memory/memory-frame.ts';
import { ByteReader } from '../transfer/byte-reader.ts';
import { codecOf, codecs, Encoding } from '../transfer/codec.ts';
import { asLinkError, damaged, linkBroken, linkStalled } from '../transfer/errors.ts';
import type { Link } from '../transfer/link.ts';
import { refusalOf } from '../transfer/refusal.ts';

/** With a question under way and no byte of an answer for this long, the link counts as cut and is made anew. */
const CUT_MS = 3_000;
const OPEN_MS = 3_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** For the source to hear that nothing more is asked of it. */
const FAREWELL_MS = 500;

/** Pages of a process that are asked for. */
export interface Question {
  readonly pid: number;
  readonly address: number;
  readonly pages: number;
  /** Of what is kept here of them. */
  readonly hashes: Buffer | undefined;
  /** Which of the hashes hold is all that is asked. */
  readonly compareOnly: boolean;
  readonly askedAt: number;
}

export interface MemoryLinkOptions {
  readonly link: Link;
  readonly path: string;
  /** Called for each answer, in the order of the questions. `raw` has the pages that came. */
  readonly onAnswer: (question: Question, answer: Answer, raw: Uint8Array) => void;
  /** The source will not answer, now or later. Called once. */
  readonly onRefused: (error: HoldfastError) => void;
}

/**
 * Questions to the source on one connection, answered in order. When it breaks, it is made anew and what was not answered
 * is asked again, for as long as this is open: how long that may be is for the owner to say.
 */
export class MemoryLink {
  readonly #options: MemoryLinkOptions;
  readonly #closing = new AbortController();
  readonly #questions: Question[] = [];
  /** Of those, asked since the last were written. */
  #unwritten: Question[] = [];
  #request: ClientRequest | undefined;
  #receivedBytes = 0;
  #lastByteAt = 0;
  #wake: () => void = () => {};
  #failed: HoldfastError | undefined;
  #lastAnswerAt = 0;
  #reconnects = 0;

  constructor(options: MemoryLinkOptions) {
    this.#options = options;
  }

  get link(): Link {
    return this.#options.link;
  }

  /** How long a question has waited without any being answered. */
  get silentMs(): number {
    const first = this.#questions[0];
    return first ? performance.now() - Math.max(first.askedAt, this.#lastAnswerAt) : 0;
  }

  get reconnects(): number {
    return this.#reconnects;
  }

  /** Why the connection broke last. */
  get brokeBy(): HoldfastError | undefined {
    return this.#failed;
  }

  /** Make the connection, so that the first question does not have to wait for it. */
  async connect(signal: AbortSignal): Promise<void> {
    await this.link.open(signal);
  }

  /** Ask, and go on asking, until `close`. */
  begin(): void {
    void this.#run();
  }

  ask(question: Question): void {
    if (this.#questions.length === 0) this.#lastByteAt = performance.now();
    this.#questions.push(question);
    // Not at once: this may be an answer being taken, and a write to a TLS connection that has more to be read would enter
    // Node's HTTP parser from within itself.
    if (this.#unwritten.length === 0) setImmediate(() => this.#write());
    this.#unwritten.push(question);
    this.#wake();
  }

  /** Ask no more, and settle when the source has heard of it, or soon after. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new Error('closed'));
    this.#wake();
    const request = this.#request;
    if (request && !request.destroyed) {
      const closed = new Promise((resolve) => request.once('close', resolve));
      request.end();
      await Promise.race([closed, sleep(FAREWELL_MS)]);
    }
    this.link.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; ) {
      const answeredBefore = this.#lastAnswerAt;
      try {
        // A connection that broke while nothing was wanted of it is not made anew until something is.
        while (this.#questions.length === 0 && !signal.aborted) await this.#wanted();
        await this.link.open(anySignal([signal, AbortSignal.timeout(OPEN_MS)]));
        await this.#converse();
      } catch (error) {
        if (signal.aborted) return;
        this.#failed = asLinkError(error, this.link.peer);
        if (!this.#failed.retryable) {
          this.#options.onRefused(this.#failed);
          return;
        }
      } finally {
        this.#request = undefined;
      }
      this.link.close();
      this.#reconnects++;
      pauseMs =
        this.#lastAnswerAt > answeredBefore ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  #wanted(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** One request for as long as it lasts: its body is questions, its answer's body answers. Ends by throwing. */
  async #converse(): Promise<never> {
    const { link, path } = this.#options;
    const request = link.request('POST', path, {
      'content-type': 'application/octet-stream',
      'transfer-encoding': 'chunked',
      'accept-encoding': codecs.map(({ encoding }) => encoding).join(', '),
    });
    this.#receivedBytes = 0;
    this.#lastByteAt = performance.now();
    const watch = setInterval(() => {
      const silentMs = performance.now() - this.#lastByteAt;
      if (this.#questions.length > 0 && silentMs > CUT_MS) request.destroy(linkStalled(link.peer, CUT_MS));
    }, CUT_MS / 10);
    const responded = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('error', reject);
      request.once('close', () => reject(linkBroken(link.peer, 'closed')));
      request.once('response', resolve);
    });
    try {
      this.#unwritten = [...this.#questions];
      this.#request = request;
      this.#write();
      const response = await responded;
      if (response.statusCode !== 200) throw await refusalOf(response);
      const reader = new ByteReader(response, () => {
        this.#lastByteAt = performance.now();
      });
      for (;;) await this.#takeAnswer(reader);
    } finally {
      clearInterval(watch);
      request.destroy();
    }
  }

  async #takeAnswer(reader: ByteReader): Promise<void> {
    const { header, payload, sizeBytes } = await readReply(reader);
    this.#receivedBytes += sizeBytes;
    if ('error' in header) throw fromErrorBody(header.error as ErrorBody);
    const question = this.#questions[0];
    const fits = question?.pid === header.pid && question.address === header.address;
    if (!fits || question.pages !== header.pages) throw damaged('an answer that nobody asked for');
    const raw = await decode(header, payload);
    if (crc32(raw) !== header.crc32) throw damaged('pages whose checksum is wrong');
    this.#questions.shift();
    this.#lastAnswerAt = performance.now();
    this.#options.onAnswer(question, header, raw);
  }

  /** Whatever is asked while there is no connection is written when there is one. */
  #write(): void {
    const request = this.#request;
    if (!request) return;
    request.cork();
    for (const { hashes, askedAt: _, ...asked } of this.#unwritten) {
      request.write(encodeAsk({ ...asked, receivedBytes: this.#receivedBytes }, hashes));
    }
    request.uncork();
    this.#unwritten = [];
  }
}

async function decode({ encoding, rawBytes }: Answer, payload: Buffer): Promise<Uint8Array> {
  if (encoding === Encoding.identity) {
    if (payload.length !== rawBytes) throw damaged('pages of another length than was said');
    return payload;
  }
  const codec = codecOf(encoding);
  if (!codec) throw damaged(`pages in an encoding nobody asked for: ${encoding}`);
  const raw = await codec.decode(payload, rawBytes).catch((cause: unknown) => {
    throw damaged('pages that cannot be decoded', cause);
  });
  if (raw.length !== rawBytes) throw damaged('pages of another length than was said');
  return raw;
}
