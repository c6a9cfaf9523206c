import type { ClientRequest, IncomingMessage } from 'node:http';
import { type ErrorBody, fromErrorBody, HoldfastError } from '../errors.ts';
import { AnswerParser } from './answer.ts';
import type { BufferStore } from './buffers.ts';
import type { Codec } from './codec.ts';
import type { Patience } from './encoding-choice.ts';
import { asLinkError, linkStalled } from './errors.ts';
import type { Link } from './link.ts';
import type { LinkFlow } from './link-flow.ts';
import { LinkMeter } from './link-meter.ts';
import type { Piece } from './piece.ts';
import { sendPieces } from './send-pieces.ts';
import type { Traffic } from './traffic.ts';

export interface UploadOptions {
  readonly link: Link;
  /** Whose turns it is sent in, and as what. */
  readonly flow: LinkFlow;
  readonly traffic: Traffic;
  /** Where to `PUT` the stream. */
  readonly path: string;
  /** Called anew should the link have broken while it stood ready. Its signal fires as soon as the upload has failed. */
  readonly pieces: (buffers: BufferStore, signal: AbortSignal) => AsyncIterable<Piece>;
  readonly codec: Codec | undefined;
  /** Of what is sent, `frozen` when not given. */
  readonly patience?: Patience;
  /** How long nothing may be acknowledged before the link counts as cut: TCP itself would wait for minutes. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
}

/**
 * Send pieces over a link, and settle when the other end has all of them in place.
 *
 * A connection that broke while it stood ready is opened anew, once.
 *
 * @throws HoldfastError `LINK_STALLED`, `LINK_BROKEN`, what the other end answered, and what `pieces` gives
 */
export async function upload(options: UploadOptions): Promise<{ imageBytes: number }> {
  const { link, signal } = options;
  const stoodReady = link.isOpen;
  await link.open(signal);
  const first = new Upload(options);
  try {
    return await first.run();
  } catch (error) {
    const wentStale = error instanceof HoldfastError && error.code === 'LINK_BROKEN' && !first.answered;
    if (!stoodReady || !wentStale || signal.aborted) throw error;
  }
  await link.open(signal);
  return new Upload(options).run();
}

class Upload {
  readonly #options: UploadOptions;
  readonly #meter: LinkMeter;
  readonly #request: ClientRequest;
  readonly #stop = new AbortController();
  #allHanded = false;
  #answered = false;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#meter = new LinkMeter({ limitBpms: options.flow.limitBpms });
    this.#request = options.link.request('PUT', options.path, {
      'content-type': 'application/octet-stream',
      'transfer-encoding': 'chunked',
    });
  }

  /** Whether the other end said anything at all. */
  get answered(): boolean {
    return this.#answered;
  }

  async run(): Promise<{ imageBytes: number }> {
    const { link, stallMs, signal } = this.#options;
    const giveUp = () => this.#giveUp(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp(); // While the link was opened: no event comes any more.
    const watch = setInterval(() => this.#watch(), stallMs / 4);
    const answer = this.#readAnswer();
    const sent = this.#send();
    try {
      const [done] = await Promise.all([answer, sent]);
      return done;
    } catch (error) {
      this.#giveUp(error);
      const outcomes = await Promise.allSettled([answer, sent]);
      link.close();
      signal.throwIfAborted();
      throw outcomes.map(reasonOf).find(explainsMore) ?? error;
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', giveUp);
    }
  }

  async #send(): Promise<void> {
    const { pieces, codec, patience, flow, traffic } = this.#options;
    const { signal } = this.#stop;
    const handOver = (parts: readonly Uint8Array[]) => this.#write(parts);
    const write = (parts: readonly Uint8Array[]) => flow.send(traffic, parts, handOver, signal);
    await sendPieces({ pieces, codec, patience, meter: this.#meter, write, signal });
    this.#allHanded = true;
    this.#request.end();
  }

  /** Settles when the kernel has all of it: the buffers may be used again, and no second chunk piles up here. */
  #write(parts: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stop.signal.throwIfAborted();
      const abandon = () => reject(this.#stop.signal.reason);
      this.#stop.signal.addEventListener('abort', abandon, { once: true });
      this.#request.cork();
      parts.forEach((part, index) => {
        this.#meter.handed(part.length);
        if (index < parts.length - 1) this.#request.write(part);
        else {
          this.#request.write(part, (error) => {
            this.#stop.signal.removeEventListener('abort', abandon);
            if (error) reject(asLinkError(error, this.#options.link.peer));
            else resolve();
          });
        }
      });
      this.#request.uncork();
    });
  }

  #readAnswer(): Promise<{ imageBytes: number }> {
    const { peer } = this.#options.link;
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => reject(asLinkError(error, peer));
      this.#request.once('error', fail);
      this.#request.once('close', () => fail('it was closed'));
      this.#request.once('response', (response: IncomingMessage) => {
        response.once('error', fail);
        response.once('end', () => fail('the other end said no more'));
        const parser = new AnswerParser((line) => {
          this.#answered = true;
          if ('done' in line) resolve(line.done);
          else if ('error' in line) reject(fromErrorBody(line.error as ErrorBody));
          else this.#meter.acked(line.receivedBytes);
        });
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          try {
            parser.push(text);
          } catch (error) {
            fail(error);
          }
        });
      });
    });
  }

  #watch(): void {
    const waiting = this.#allHanded || this.#meter.backlogBytes > 0;
    const { stallMs, link } = this.#options;
    if (waiting && performance.now() - this.#meter.lastProgressAt > stallMs) {
      this.#giveUp(linkStalled(link.peer, stallMs));
    }
  }

  #giveUp(reason: unknown): void {
    if (!this.#stop.signal.aborted) this.#stop.abort(reason);
    this.#request.destroy(reason instanceof Error ? reason : undefined);
  }
}

function reasonOf(outcome: PromiseSettledResult<unknown>): unknown {
  return outcome.status === 'rejected' ? outcome.reason : undefined;
}

/** What the other end said says more than the broken pipe that followed it. */
function explainsMore(error: unknown): boolean {
  return error instanceof HoldfastError && error.code !== 'LINK_BROKEN';
}
