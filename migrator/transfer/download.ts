import type { IncomingMessage, ServerResponse } from 'node:http';
import { HoldfastError, toErrorBody } from '../errors.ts';
import { encodeAnswer } from './answer.ts';
import { linkBroken, linkStalled } from './errors.ts';
import type { KeptPages } from './kept-pages.ts';
import { receiveImages } from './receive-images.ts';

/** Acknowledge at the latest after this much, or this long. */
const ACK_EVERY_BYTES = 128 * 1024;
const ACK_EVERY_MS = 20;
/** The sender gives up long before, or waits for a dump; this only keeps a half-open connection from waiting for ever. */
const STALL_MS = 130_000;

/**
 * Take the images that `request` carries into `dir`, and tell the sender on `response` how far they have come.
 * The response is ended, whatever happens. When this throws, what is in `dir` is worthless.
 *
 * @throws HoldfastError `LINK_STALLED`, `LINK_BROKEN` and what `receiveImages` gives
 */
export async function downloadImages(
  request: IncomingMessage,
  response: ServerResponse,
  options: {
    dir: string;
    kept: KeptPages;
    limitBytes: number;
    /** Called when every file is in place, before the sender hears of it. */
    onWhole: () => Promise<void>;
    signal: AbortSignal;
  },
): Promise<{ imageBytes: number }> {
  const { signal } = options;
  const peer = request.socket.remoteAddress ?? 'the sender';
  const abandon = () => request.destroy();
  signal.addEventListener('abort', abandon, { once: true });
  const acks = new Acknowledger(response, () => request.destroy(linkStalled(peer, STALL_MS)));
  response.on('error', () => {}); // A sender that has gone is noticed at the request.
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  try {
    const received = await receiveImages({
      ...options,
      source: request,
      onReceived: (totalBytes) => acks.received(totalBytes),
    });
    await options.onWhole();
    response.write(encodeAnswer({ done: received }));
    return received;
  } catch (error) {
    signal.throwIfAborted();
    const told = isConnectionError(error) ? linkBroken(peer, error) : error;
    response.write(encodeAnswer({ error: toErrorBody(told) }));
    throw told;
  } finally {
    acks.stop();
    signal.removeEventListener('abort', abandon);
    // Ending the response lets Node read the rest of the request away, so that no reset overtakes the answer.
    response.end();
  }
}

/** Whether the stream failed rather than what was in it. */
function isConnectionError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return (
    !(error instanceof HoldfastError) && (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE')
  );
}

/** Says how much was received, not for every piece, and watches that more comes. */
class Acknowledger {
  readonly #response: ServerResponse;
  readonly #stalled: NodeJS.Timeout;
  #receivedBytes = 0;
  #toldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, onStall: () => void) {
    this.#response = response;
    this.#stalled = setTimeout(onStall, STALL_MS);
  }

  received(totalBytes: number): void {
    this.#receivedBytes = totalBytes;
    this.#stalled.refresh();
    if (totalBytes - this.#toldBytes >= ACK_EVERY_BYTES) this.#tell();
    else this.#timer ??= setTimeout(() => this.#tell(), ACK_EVERY_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#stalled);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#toldBytes = this.#receivedBytes;
    this.#response.write(encodeAnswer({ receivedBytes: this.#receivedBytes }));
  }
}
