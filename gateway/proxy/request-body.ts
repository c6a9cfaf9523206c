import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** What libuv reads from a socket at most in one go. */
const SOCKET_READ_BYTES = 65_536;

/** See `Visit.pinnedBytes`. A chunked body may be of any length. */
export function pinnedBytes(req: IncomingMessage): number {
  let headBytes = req.url?.length ?? 0;
  for (const text of req.rawHeaders) headBytes += text.length;
  const isChunked = req.headers['transfer-encoding'] !== undefined;
  const declared = isChunked ? Number.POSITIVE_INFINITY : Number(req.headers['content-length'] ?? 0);
  return headBytes + Math.min(declared, req.readableHighWaterMark + SOCKET_READ_BYTES);
}

/**
 * A request's body on its way to the app, read from the client no faster than the app takes it.
 *
 * undici destroys the stream it sends as soon as an answer comes early, and destroying an IncomingMessage takes the
 * client's connection with it before the answer is out. So it gets this one to destroy, and the rest of the upload is
 * read and thrown away.
 */
export class RequestBody extends Readable {
  readonly #req: IncomingMessage;

  constructor(req: IncomingMessage) {
    super();
    this.#req = req;
    req.on('data', this.#onData);
    req.on('end', this.#onEnd);
    req.pause();
  }

  override _read(): void {
    this.#req.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#req.off('data', this.#onData);
    this.#req.off('end', this.#onEnd);
    this.#req.resume();
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#req.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };
}
