import type { Codec } from './codec.ts';
import type { LinkMeter } from './link-meter.ts';

/** What is assumed of a codec until it has been measured. */
const ASSUMED_RATE_BPMS = 300_000;
const ASSUMED_RATIO = 0.5;
/** A chunk that shrinks by less than this is not worth the other end's time. */
const WORTHWHILE_RATIO = 0.9;
const LONGEST_PAUSE_CHUNKS = 16;
const NEWEST_WEIGHT = 0.2;
const FORGETTING = 1.05;

/** How many times slower than the link a codec may be. */
export const Patience = {
  /** The app runs, and nobody waits: fewer bytes are worth more time. */
  ahead: 2,
  /** The app is frozen: nothing but time counts. */
  frozen: 1,
} as const;
export type Patience = (typeof Patience)[keyof typeof Patience];

/**
 * Decides for each chunk whether encoding it gets it to the other end sooner. The codec must be faster than the link;
 * then, while the link is busy with what it was handed before, encoding is free, and once the link runs dry, time
 * spent encoding is time lost. The first chunk goes as it is, to see what the link can do.
 *
 * With patience all is encoded that shrinks, also while the link runs dry.
 */
export class EncodingChoice {
  readonly #codec: Codec | undefined;
  readonly #meter: LinkMeter;
  readonly #patience: Patience;
  readonly #now: () => number;
  /** Of all chunks that are encoded side by side, in milliseconds a byte: rates of chunks cannot be averaged. */
  #costMs = 1 / ASSUMED_RATE_BPMS;
  #ratio = ASSUMED_RATIO;
  #pauseChunks = 1;
  #nextPauseChunks = 1;
  #underWay = 0;
  /** When the last of those under way was done, or the first of them begun. */
  #sinceMs = 0;

  constructor(options: {
    codec: Codec | undefined;
    meter: LinkMeter;
    patience?: Patience | undefined;
    now?: () => number;
  }) {
    this.#codec = options.codec;
    this.#meter = options.meter;
    this.#patience = options.patience ?? Patience.frozen;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The codec to use for a chunk of this size, or undefined to send it as it is. */
  choose(sizeBytes: number): Codec | undefined {
    if (!this.#codec) return undefined;
    if (this.#pauseChunks > 0) {
      this.#pauseChunks--;
      return undefined;
    }
    const wireMs = sizeBytes / this.#meter.rateBpms;
    const encodeMs = sizeBytes * this.#costMs;
    if (encodeMs > wireMs * this.#patience) {
      this.#costMs /= FORGETTING; // A codec once slow, for want of a core, is tried again.
      return undefined;
    }
    if (this.#patience === Patience.ahead) return this.#codec;
    const waitMs = this.#meter.backlogBytes / this.#meter.rateBpms;
    if (Math.max(waitMs, encodeMs) + wireMs * this.#ratio >= waitMs + wireMs) return undefined;
    return this.#codec;
  }

  /** A chosen chunk is being encoded; `encoded` is to follow. */
  begun(): void {
    if (this.#underWay++ === 0) this.#sinceMs = this.#now();
  }

  /** What encoding a chosen chunk came to. Returns whether the result is worth sending. */
  encoded({ sizeBytes, encodedBytes }: { sizeBytes: number; encodedBytes: number }): boolean {
    const now = this.#now();
    this.#underWay--;
    this.#costMs += ((now - this.#sinceMs) / sizeBytes - this.#costMs) * NEWEST_WEIGHT;
    this.#sinceMs = now;
    const ratio = encodedBytes / sizeBytes;
    if (ratio < WORTHWHILE_RATIO) {
      this.#ratio += (ratio - this.#ratio) * NEWEST_WEIGHT;
      this.#nextPauseChunks = 1;
      return true;
    }
    // Incompressible chunks come in runs (media, ciphertext): try again after growing pauses.
    this.#pauseChunks = this.#nextPauseChunks;
    this.#nextPauseChunks = Math.min(this.#nextPauseChunks * 2, LONGEST_PAUSE_CHUNKS);
    return false;
  }
}
