import { CHUNK_BYTES } from './frame.ts';

/**
 * What may wait to be written. The thread pool that encodes has four threads; more than four chunks would only hold memory.
 */
const MOST_BYTES = 4 * CHUNK_BYTES;
const MOST_FRAMES = 256;

export interface ReadyFrame {
  readonly parts: readonly Uint8Array[];
  /** Gives the buffers back; called when the parts are out of this process's hands. */
  release(): void;
}

interface Waiting {
  readonly ready: Promise<ReadyFrame>;
  readonly sizeBytes: number;
  /** Once it is ready. */
  frame?: ReadyFrame;
}

export interface FrameLineOptions {
  /** Hands bytes to the link, and settles when it has taken them and wants more. */
  readonly write: (parts: readonly Uint8Array[]) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Frames on their way to the link, in the order in which they were made, whichever is ready first. What has become ready
 * while the link was busy is written at one go: a checkpoint is many small files, and the app waits for them.
 */
export class FrameLine {
  readonly #options: FrameLineOptions;
  readonly #waiting: Waiting[] = [];
  #sizeBytes = 0;
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: FrameLineOptions) {
    this.#options = options;
  }

  /** @param sizeBytes what it holds until it is written */
  add(ready: Promise<ReadyFrame>, sizeBytes: number): void {
    const waiting: Waiting = { ready, sizeBytes };
    ready.then(
      (frame) => {
        waiting.frame = frame;
      },
      () => {}, // Told in its turn.
    );
    this.#waiting.push(waiting);
    this.#sizeBytes += sizeBytes;
    this.#go();
  }

  /** Settles when the next one may be added. @throws what making or writing a frame met */
  room(): Promise<void> {
    return this.#until(() => this.#sizeBytes <= MOST_BYTES && this.#waiting.length <= MOST_FRAMES);
  }

  /** Settles when all are written. @throws as `room` */
  empty(): Promise<void> {
    return this.#until(() => this.#waiting.length === 0);
  }

  async #until(reached: () => boolean): Promise<void> {
    while (this.#failure === undefined && !reached()) await this.#writing;
    if (this.#failure) throw this.#failure.error;
  }

  #go(): void {
    if (this.#writing !== undefined || this.#failure !== undefined || this.#waiting.length === 0) return;
    this.#writing = this.#writeReady()
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#writing = undefined;
        this.#go();
      });
  }

  async #writeReady(): Promise<void> {
    await this.#waiting[0]?.ready;
    this.#options.signal.throwIfAborted();
    const frames: ReadyFrame[] = [];
    let sizeBytes = 0;
    for (const { frame, sizeBytes: more } of this.#waiting) {
      if (frame === undefined || (frames.length > 0 && sizeBytes + more > CHUNK_BYTES)) break;
      frames.push(frame);
      sizeBytes += more;
    }
    await this.#options.write(frames.flatMap(({ parts }) => parts));
    for (const frame of frames) frame.release();
    this.#waiting.splice(0, frames.length);
    this.#sizeBytes -= sizeBytes;
  }
}
