import type { Duplex } from 'node:stream';
import { type ErrorBody, fromErrorBody, toErrorBody } from '../../../errors.ts';
import { asLinkError, linkBroken, linkStalled } from '../../../transfer/errors.ts';
import { encodeHeader, PREFIX_BYTES } from '../../../transfer/frame.ts';
import { LinkMeter } from '../../../transfer/link-meter.ts';
import { imageStreamInvalid } from './errors.ts';
import { CHUNK_BYTES, decodeMessage, type Message, type MessageOf } from './messages.ts';

const PEER = 'the agent at the other end';
const MAX_HEADER_BYTES = 1024 * 1024;
const ACK_EVERY_BYTES = 256 * 1024;
/** Either end may be busy with its Docker for minutes; it says meanwhile that it is there. */
const HERE_EVERY_MS = 5_000;
const SILENCE_MS = 30_000;
/** How long a farewell may take to be read. */
const FAREWELL_MS = 10_000;

export interface Received {
  readonly message: Exclude<Message, MessageOf<'here' | 'failed'>>;
  readonly payload: Buffer;
}

/** A stream between two agents as messages in both directions. Whoever makes one calls `end` or `fail`. */
export class Channel {
  /** What was sent and what of it the other end has read. */
  readonly meter = new LinkMeter();
  readonly #stream: Duplex;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #outer: AbortSignal;
  readonly #stop = new AbortController();
  readonly #here: NodeJS.Timeout;
  #rest: Buffer = Buffer.alloc(0);
  #sentBytes = 0;
  #receivedBytes = 0;
  #acknowledgedBytes = 0;

  constructor(stream: Duplex, signal: AbortSignal) {
    this.#stream = stream;
    this.#outer = signal;
    this.#pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    stream.on('error', () => {}); // Whoever reads or writes hears of it.
    signal.addEventListener('abort', this.#giveUp, { once: true });
    if (signal.aborted) this.#giveUp();
    this.#here = setInterval(() => this.#sayHere(), HERE_EVERY_MS);
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Fires with the reason when nothing can come of it any more: the caller's, what the other end said, or a broken link. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** What an error comes from: what ended the conversation says more than the broken pipe that followed it. */
  reasonOf(error: unknown): unknown {
    return this.signal.aborted ? this.signal.reason : error;
  }

  /** Settles when the stream has taken it and wants more. The payload may be used again then. */
  send(message: Message, payload?: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    const header = encodeHeader(message, payload?.length ?? 0);
    this.#count(header.length + (payload?.length ?? 0));
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null) => (error ? reject(asLinkError(error, PEER)) : resolve());
      if (payload === undefined) {
        this.#stream.write(header, done);
        return;
      }
      this.#stream.cork();
      this.#stream.write(header);
      this.#stream.write(payload, done);
      this.#stream.uncork();
    });
  }

  /**
   * The other end's next message.
   *
   * @throws HoldfastError `LINK_BROKEN`, `LINK_STALLED`, `IMAGE_STREAM_INVALID`, and what the other end failed with
   */
  async next(): Promise<Received> {
    try {
      for (;;) {
        const { message, payload } = await this.#read();
        if (message.type === 'here') this.meter.acked(message.receivedBytes);
        else if (message.type === 'failed') throw fromErrorBody(message.error as ErrorBody);
        else return { message, payload };
      }
    } catch (error) {
      this.#stop.abort(error);
      throw this.signal.reason;
    }
  }

  /** All was said at this end. Settles when it was at the other, too. */
  async end(): Promise<void> {
    this.#close();
    this.#stream.end();
    await this.#farewell();
  }

  /** Tell the other end that nothing comes of it, if it can be told. */
  async fail(error: unknown): Promise<void> {
    const tell = !this.signal.aborted;
    this.#close();
    if (tell) {
      this.#stream.end(encodeHeader({ type: 'failed', error: toErrorBody(error) } satisfies Message, 0));
      await this.#farewell();
    }
    this.#stream.destroy();
  }

  readonly #giveUp = (): void => {
    this.#stop.abort(this.#outer.reason);
    this.#stream.destroy(this.#outer.reason as Error);
  };

  #close(): void {
    clearInterval(this.#here);
    this.#outer.removeEventListener('abort', this.#giveUp);
  }

  /** Read away what is still coming: a reset must not overtake what was said last. */
  async #farewell(): Promise<void> {
    const enough = setTimeout(() => this.#stream.destroy(), FAREWELL_MS);
    try {
      while (!(await this.#pieces.next()).done);
    } catch {
      // The conversation is over: how the stream ends is of no interest.
    } finally {
      clearTimeout(enough);
    }
  }

  async #read(): Promise<{ message: Message; payload: Buffer }> {
    const prefix = await this.#fill(Buffer.allocUnsafe(PREFIX_BYTES));
    const headerBytes = prefix.readUInt32BE(0);
    const payloadBytes = prefix.readUInt32BE(4);
    if (headerBytes > MAX_HEADER_BYTES || payloadBytes > CHUNK_BYTES) {
      throw imageStreamInvalid(`a message of ${headerBytes} + ${payloadBytes} bytes`);
    }
    const message = decodeMessage(await this.#fill(Buffer.allocUnsafe(headerBytes)));
    const payload = await this.#fill(Buffer.allocUnsafe(payloadBytes));
    if (this.#receivedBytes - this.#acknowledgedBytes >= ACK_EVERY_BYTES) this.#sayHere();
    return { message, payload };
  }

  async #fill(target: Buffer): Promise<Buffer> {
    for (let filled = 0; filled < target.length; ) {
      if (this.#rest.length === 0) this.#rest = await this.#piece();
      const sizeBytes = this.#rest.copy(target, filled);
      this.#rest = this.#rest.subarray(sizeBytes);
      filled += sizeBytes;
    }
    return target;
  }

  async #piece(): Promise<Buffer> {
    const timer = setTimeout(() => this.#stream.destroy(linkStalled(PEER, SILENCE_MS)), SILENCE_MS);
    try {
      const piece = await this.#pieces.next().catch((error) => {
        throw asLinkError(error, PEER);
      });
      if (piece.done) throw linkBroken(PEER, 'it was closed');
      this.#receivedBytes += piece.value.length;
      return piece.value;
    } finally {
      clearTimeout(timer);
    }
  }

  #sayHere(): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    this.#acknowledgedBytes = this.#receivedBytes;
    const header = encodeHeader({ type: 'here', receivedBytes: this.#receivedBytes } satisfies Message, 0);
    this.#count(header.length);
    this.#stream.write(header);
  }

  #count(sizeBytes: number): void {
    this.#sentBytes += sizeBytes;
    this.meter.handed(sizeBytes);
  }
}
