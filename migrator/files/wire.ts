import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { HoldfastError } from '../errors.ts';
import { notUnderstood, streamBroken } from './errors.ts';

/**
 * What two ends of a tree say to one another. rsync's own protocol goes in `data`, in both directions; several runs of
 * rsync follow one another on one stream.
 */
export const Kind = {
  /** Source: a run begins, of this name. */
  begin: 1,
  data: 2,
  /** Source: its rsync has ended; nothing more comes of this run. */
  end: 3,
  /** Destination: its rsync has ended, with an error or without. May come before `end` when it failed. */
  ended: 4,
  /** Source: there are no more runs, and nothing for one that waits for its list. */
  over: 5,
  /** Source, in a run with a list: a part of what is on it, see listing.ts. */
  names: 6,
  /** For other purposes than rsync: a piece of JSON. */
  word: 7,
  /** Source, in a run with a list: all of it has been told, and way is to be made before rsync hears more. */
  listed: 8,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export interface Frame {
  readonly kind: Kind;
  readonly payload: Buffer;
}

const HEADER_BYTES = 5;
/** A pipe gives no more at once than this, and nothing else is as long. */
const LONGEST_BYTES = 256 * 1024;
const KINDS: ReadonlySet<number> = new Set(Object.values(Kind));

/** Frames over a stream: one byte of kind, four of length, then the payload. Counts what goes either way. */
export class Wire {
  readonly #stream: Duplex;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #sentBytes = 0;
  #receivedBytes = 0;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('error', () => {}); // Whoever reads or writes is told.
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Whether it can be written to, so far as is known. */
  get isOpen(): boolean {
    return this.#stream.writable && !this.#stream.destroyed;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Settles when the stream has room for more. @throws HoldfastError `LINK_BROKEN` */
  async send(kind: Kind, payload: Buffer = Buffer.alloc(0)): Promise<void> {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt8(kind);
    header.writeUInt32BE(payload.length, 1);
    this.#sentBytes += HEADER_BYTES + payload.length;
    const stream = this.#stream;
    if (!stream.writable) throw streamBroken('it is closed', stream.errored);
    stream.cork();
    stream.write(header);
    const hasRoom = payload.length === 0 || stream.write(payload);
    stream.uncork();
    if (hasRoom || !stream.writableNeedDrain) return;
    const wait = new AbortController();
    const closed = once(stream, 'close', { signal: wait.signal });
    try {
      await Promise.race([once(stream, 'drain', { signal: wait.signal }), closed]);
    } catch (cause) {
      throw streamBroken('it failed', cause);
    } finally {
      closed.catch(() => {});
      wait.abort();
    }
    if (stream.destroyed) throw streamBroken('it was closed', stream.errored);
  }

  async sendJson(kind: Kind, value: unknown): Promise<void> {
    await this.send(kind, Buffer.from(JSON.stringify(value)));
  }

  /** @throws HoldfastError `LINK_BROKEN` also when the stream ends; `FILES_MISMATCH` */
  async next(): Promise<Frame> {
    const header = await this.#take(HEADER_BYTES);
    const kind = header.readUInt8();
    const length = header.readUInt32BE(1);
    if (!KINDS.has(kind) || length > LONGEST_BYTES) throw notUnderstood(`a frame of kind ${kind}`);
    return { kind: kind as Kind, payload: await this.#take(length) };
  }

  /** This end has said all. */
  end(): void {
    this.#stream.end();
  }

  /**
   * This end has said all. Settles when the other one has taken it in: what it does with a tree after the last frame may fail
   * too, and must be over before anybody uses what has arrived.
   *
   * @throws HoldfastError what the other end failed with, `LINK_BROKEN`
   */
  async finish(): Promise<void> {
    const taken = finished(this.#stream, { readable: false });
    this.#stream.end();
    try {
      await taken;
      // With its last words unread, the link would not be free for the next stream.
      while (!(await this.#chunks.next()).done);
    } catch (cause) {
      throw streamBroken('it failed', cause);
    }
  }

  /** The stream is of no use any more. */
  destroy(): void {
    this.#stream.destroy();
  }

  async #take(size: number): Promise<Buffer> {
    while (this.#rest.length < size) {
      const next = await this.#chunks.next().catch((cause: unknown) => {
        throw streamBroken('it failed', cause);
      });
      if (next.done === true) throw streamBroken('it ended early');
      this.#receivedBytes += next.value.length;
      this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    }
    const taken = this.#rest.subarray(0, size);
    this.#rest = this.#rest.subarray(size);
    return taken;
  }
}

export function outOfTurn(kind: Kind): HoldfastError {
  return notUnderstood(`a frame of kind ${kind}, which is not its turn`);
}

/** What a frame of JSON holds. @throws HoldfastError `FILES_MISMATCH` */
export function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString());
  } catch {
    throw notUnderstood('what should be JSON is not');
  }
}
