import type { ClientRequest, IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { fromErrorBody } from '../errors.ts';
import { asLinkError, linkBroken, linkStalled } from './errors.ts';
import type { Link } from './link.ts';
import type { LinkFlow } from './link-flow.ts';
import { refusalOf } from './refusal.ts';
import { StreamFrameParser } from './stream-frame.ts';
import type { Traffic } from './traffic.ts';

/** Of the other end, which says every second that it is there. */
const STALL_MS = 5_000;
const BUFFER_BYTES = 512 * 1024;

interface CallOptions {
  readonly flow: LinkFlow;
  readonly traffic: () => Traffic;
  readonly onIdle: () => void;
  readonly signal: AbortSignal;
}

/**
 * Open a stream to the other agent, as one request and its answer: what is written is the request's body, what is read
 * is in the answer. It finishes when the other end says that it has taken in all that was written, and its error is
 * what the other end failed with, if that is what happened.
 *
 * @param options.flow whose turns it is sent in
 * @param options.traffic as what it is sent, asked each time
 * @param options.onIdle called when the link is free again
 * @throws HoldfastError `LINK_BROKEN`, what the other agent answers, the reason of `signal`
 */
export async function callStream(link: Link, path: string, options: CallOptions): Promise<Duplex> {
  const { signal } = options;
  await link.open(signal);
  const request = link.request('POST', path, {
    'content-type': 'application/octet-stream',
    'transfer-encoding': 'chunked',
  });
  const abandon = () => request.destroy(signal.reason as Error);
  signal.addEventListener('abort', abandon, { once: true });
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('error', (error) => reject(asLinkError(error, link.peer)));
      request.once('close', () => reject(linkBroken(link.peer, 'closed')));
      request.once('response', resolve);
      request.flushHeaders();
    });
    if (response.statusCode !== 200) throw await refusalOf(response);
    return new CalledStream(request, response, { ...options, peer: link.peer });
  } catch (error) {
    request.destroy();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abandon);
  }
}

class CalledStream extends Duplex {
  readonly #request: ClientRequest;
  readonly #response: IncomingMessage;
  readonly #options: CallOptions & { readonly peer: string };
  readonly #watch: NodeJS.Timeout;
  readonly #closed = new AbortController();
  readonly #abandon = () => void this.destroy(this.#options.signal.reason as Error);
  #lastByteAt = performance.now();
  #reading = true;
  #ended = false;
  #done = false;
  #onDone: () => void = () => {};

  constructor(
    request: ClientRequest,
    response: IncomingMessage,
    options: CallOptions & { readonly peer: string },
  ) {
    super({
      readableHighWaterMark: BUFFER_BYTES,
      writableHighWaterMark: BUFFER_BYTES,
      // Whoever reads one half to its end in a loop would destroy the other with it.
      autoDestroy: false,
    });
    this.#request = request;
    this.#response = response;
    this.#options = options;
    this.#watch = setInterval(() => this.#look(), STALL_MS / 10);
    options.signal.addEventListener('abort', this.#abandon, { once: true });
    const broke = (error: unknown) => void this.destroy(asLinkError(error, options.peer));
    const parser = this.#parser();
    request.on('error', broke);
    response.on('error', broke);
    response.on('data', (chunk: Buffer) => {
      this.#lastByteAt = performance.now();
      try {
        parser.push(chunk);
      } catch (error) {
        broke(error);
      }
    });
    response.on('end', () => {
      if (this.#done) this.#free();
      else broke('the other end said no more');
    });
    response.on('close', () => {
      if (!this.#done) broke('closed');
    });
    const isOver = () => void (this.readableEnded && this.writableFinished && this.destroy());
    this.once('end', isOver);
    this.once('finish', isOver);
  }

  #parser(): StreamFrameParser {
    const end = () => {
      if (!this.#ended) this.push(null);
      this.#ended = true;
    };
    return new StreamFrameParser({
      data: (bytes) => {
        if (this.push(bytes)) return;
        this.#reading = false;
        this.#response.pause();
      },
      end,
      done: () => {
        this.#done = true;
        end();
        this.#onDone();
      },
      error: (body) => void this.destroy(fromErrorBody(body)),
    });
  }

  override _read(): void {
    if (!this.#reading) this.#lastByteAt = performance.now();
    this.#reading = true;
    this.#response.resume();
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    callback: (error?: Error | null) => void,
  ): void {
    const { flow, traffic, peer } = this.#options;
    const parts = chunks.map(({ chunk }) => chunk);
    flow
      .send(traffic(), parts, (slice) => this.#handOver(slice), this.#closed.signal)
      .then(
        () => callback(),
        (error: Error) => {
          this.destroy(asLinkError(error, peer));
          callback(error);
        },
      );
  }

  /**
   * Not at once: this may be an answer being taken, and a write to a TLS connection that has more to be read would enter
   * Node's HTTP parser from within itself.
   */
  #handOver(parts: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      setImmediate(() => {
        if (this.#request.destroyed) return reject(new Error('closed'));
        this.#request.cork();
        parts.forEach((part, index) => {
          if (index < parts.length - 1) this.#request.write(part);
          else this.#request.write(part, (error) => (error ? reject(error) : resolve()));
        });
        this.#request.uncork();
      });
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    setImmediate(() => this.#request.end());
    if (this.#done) callback();
    else this.#onDone = callback;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#watch);
    this.#closed.abort(error ?? new Error('closed'));
    this.#options.signal.removeEventListener('abort', this.#abandon);
    // The link is good for the next stream only when both ends are through with this one.
    if (error === null && this.#done && this.writableEnded) this.#response.resume();
    else this.#request.destroy();
    callback(error);
  }

  #look(): void {
    if (this.#reading && !this.#done && performance.now() - this.#lastByteAt > STALL_MS)
      this.destroy(linkStalled(this.#options.peer, STALL_MS));
  }

  #free(): void {
    if (this.#request.writableFinished) this.#options.onIdle();
    else this.#request.once('finish', () => this.#options.onIdle());
  }
}
