import type { IncomingMessage, ServerResponse } from 'node:http';
import { Duplex, finished } from 'node:stream';
import { promisify } from 'node:util';
import { anySignal } from '../any-signal.ts';
import { toErrorBody } from '../errors.ts';
import { asLinkError, linkBroken } from './errors.ts';
import { errorFrame, frameHeader, StreamFrame } from './stream-frame.ts';

const ALIVE_EVERY_MS = 1_000;
const KEEP_ALIVE_MS = 10_000;
const BUFFER_BYTES = 512 * 1024;
const whenFinished = promisify(finished);

/**
 * The other end of `callStream`: have `take` take in what comes, and tell how that went. The response is ended, whatever
 * happens. Settles when `take` has, and nothing is heard of the stream any more.
 *
 * @throws HoldfastError what `take` gives, or `LINK_BROKEN`
 */
export async function answerStream(
  request: IncomingMessage,
  response: ServerResponse,
  options: {
    take: (stream: Duplex, signal: AbortSignal) => Promise<void>;
    signal: AbortSignal;
  },
): Promise<void> {
  const peer = request.socket.remoteAddress ?? 'the sender';
  request.socket.setKeepAlive(true, KEEP_ALIVE_MS); // Nothing else tells of a sender whose host is gone.
  response.on('error', () => {}); // A sender that has gone is noticed at the request.
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  response.flushHeaders();
  const alive = setInterval(() => response.write(frameHeader(StreamFrame.alive)), ALIVE_EVERY_MS);
  const broken = new AbortController();
  const stream = new AnsweredStream(request, response, peer);
  stream.on('error', (error) => broken.abort(error));
  const abandon = () => void stream.destroy(options.signal.reason as Error);
  options.signal.addEventListener('abort', abandon, { once: true });
  if (options.signal.aborted) abandon();
  try {
    await options.take(stream, anySignal([options.signal, broken.signal]));
    if (!stream.writableEnded) stream.end();
    await whenFinished(stream, { readable: false });
    response.write(frameHeader(StreamFrame.done));
  } catch (error) {
    const reason: unknown = broken.signal.aborted ? broken.signal.reason : error;
    response.write(errorFrame(toErrorBody(reason)));
    throw reason;
  } finally {
    clearInterval(alive);
    options.signal.removeEventListener('abort', abandon);
    stream.destroy();
    // Ending the response lets Node read the rest of the request away, so that no reset overtakes the answer.
    response.end();
  }
}

class AnsweredStream extends Duplex {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #peer: string;

  constructor(request: IncomingMessage, response: ServerResponse, peer: string) {
    super({
      readableHighWaterMark: BUFFER_BYTES,
      writableHighWaterMark: BUFFER_BYTES,
      // Taken in is what `take` says, not what was read; and whoever reads to the end would destroy what is to be said.
      autoDestroy: false,
    });
    this.#request = request;
    this.#response = response;
    this.#peer = peer;
    request.on('data', (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) request.pause();
    });
    request.on('end', () => {
      if (!this.destroyed) this.push(null);
    });
    const broke = (error: unknown) => {
      if (!request.complete && !this.destroyed) this.destroy(asLinkError(error, peer));
    };
    request.on('error', broke);
    request.on('close', () => broke('closed'));
    // Once the request is here as a whole, only its answer notices that nobody waits for it.
    response.on('close', () => {
      if (!response.writableFinished && !this.destroyed) this.destroy(linkBroken(peer, 'closed'));
    });
  }

  override _read(): void {
    this.#request.resume();
  }

  /** Not at once, as in `callStream`. */
  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    callback: (error?: Error | null) => void,
  ): void {
    const settle = (error?: Error | null) => {
      if (error) this.destroy(asLinkError(error, this.#peer));
      callback(error);
    };
    setImmediate(() => {
      if (this.#response.destroyed || this.#response.writableEnded) return settle(new Error('closed'));
      const sizeBytes = chunks.reduce((sum, { chunk }) => sum + chunk.length, 0);
      const response = this.#response;
      response.cork();
      response.write(frameHeader(StreamFrame.data, sizeBytes));
      chunks.forEach(({ chunk }, index) => {
        if (index < chunks.length - 1) response.write(chunk);
        else response.write(chunk, settle);
      });
      response.uncork();
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    setImmediate(() => {
      this.#response.write(frameHeader(StreamFrame.end));
      callback();
    });
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // What nobody reads any more must not hold up the answer.
    this.#request.resume();
    callback(error);
  }
}
