import { type ErrorBody, HoldfastError } from '../errors.ts';
import { damaged } from './errors.ts';

/**
 * What comes back on a stream between two agents: one byte that says what it is, its length in four bytes, big-endian, and
 * as many bytes. The way there needs no frames: it is a request's body. See docs/transfer.md.
 */
export const StreamFrame = {
  data: 0,
  /** No more data comes. */
  end: 1,
  /** Whoever takes in is at work, and the link is not cut. */
  alive: 2,
  /** All was taken in. */
  done: 3,
  /** It was not, and why: an error's body, as JSON. */
  error: 4,
} as const;
export type StreamFrame = (typeof StreamFrame)[keyof typeof StreamFrame];

const HEADER_BYTES = 5;
const LONGEST_ERROR = 64 * 1024;

export function frameHeader(kind: StreamFrame, sizeBytes = 0): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(sizeBytes, 1);
  return header;
}

export function errorFrame(error: ErrorBody): Buffer {
  const payload = Buffer.from(JSON.stringify(error));
  return Buffer.concat([frameHeader(StreamFrame.error, payload.length), payload]);
}

export interface StreamFrames {
  data(bytes: Buffer): void;
  end(): void;
  done(): void;
  error(body: ErrorBody): void;
}

/** Takes frames apart as their bytes come. Data is told of in the pieces it comes in. */
export class StreamFrameParser {
  readonly #told: StreamFrames;
  #header = Buffer.alloc(0);
  #kind: StreamFrame | undefined;
  #leftBytes = 0;
  #error: Buffer[] = [];

  constructor(told: StreamFrames) {
    this.#told = told;
  }

  /** @throws HoldfastError `IMAGES_DAMAGED` for what is no frame */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#kind === undefined) {
        const missing = HEADER_BYTES - this.#header.length;
        this.#header = Buffer.concat([this.#header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (this.#header.length < HEADER_BYTES) return;
        this.#begin(this.#header.readUInt8(0), this.#header.readUInt32BE(1));
        this.#header = Buffer.alloc(0);
      }
      const bytes = rest.subarray(0, this.#leftBytes);
      rest = rest.subarray(bytes.length);
      this.#leftBytes -= bytes.length;
      if (bytes.length > 0) this.#take(bytes);
      if (this.#leftBytes === 0) this.#finish();
    }
  }

  #begin(kind: number, sizeBytes: number): void {
    const known = Object.values(StreamFrame).find((each) => each === kind);
    const longest = kind === StreamFrame.data ? Number.MAX_SAFE_INTEGER : LONGEST_ERROR;
    if (known === undefined || sizeBytes > longest) throw damaged(`a frame of kind ${kind} on a stream`);
    this.#kind = known;
    this.#leftBytes = sizeBytes;
  }

  #take(bytes: Buffer): void {
    if (this.#kind === StreamFrame.data) this.#told.data(bytes);
    else this.#error.push(bytes);
  }

  #finish(): void {
    const kind = this.#kind;
    this.#kind = undefined;
    if (kind === StreamFrame.end) this.#told.end();
    if (kind === StreamFrame.done) this.#told.done();
    if (kind === StreamFrame.error) this.#told.error(errorOf(Buffer.concat(this.#error)));
  }
}

function errorOf(text: Buffer): ErrorBody {
  try {
    const body = JSON.parse(text.toString('utf8')) as ErrorBody;
    if (typeof body.code === 'string' && typeof body.message === 'string') return body;
  } catch (cause) {
    throw damaged('an error that cannot be read', cause);
  }
  throw new HoldfastError('AGENT_ANSWER_INVALID', 'the other agent told an error that is none', {
    mend: 'run the same version of Holdfast everywhere',
  });
}
