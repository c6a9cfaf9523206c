import type { Codec } from './codec.ts';
import type { LinkMeter } from './link-meter.ts';

/** What is assumed of a codec until it has been measured. */
const ASSUMED_RATE_BPMS = 300_000;
const ASSUMED_RATIO = 0.5;
/** A chunk that shrinks by less than this is not worth the other end's time. */
const WORTHWHILE_RATIO = 0.9;
const LONGEST_PAUSE_CHUNKS = 16;
const NEWEST_WEIGHT = 0.3;

/**
 * Decides for each chunk whether encoding it gets it to the other end sooner: while the link is busy with what it
 * was handed before, encoding is free; once the link runs dry, time spent encoding is time lost.
 */
export class EncodingChoice {
  readonly #codec: Codec | undefined;
  readonly #meter: LinkMeter;
  #rateBpms = ASSUMED_RATE_BPMS;
  #ratio = ASSUMED_RATIO;
  #pauseChunks = 0;
  #nextPauseChunks = 1;

  constructor(options: { codec: Codec | undefined; meter: LinkMeter }) {
    this.#codec = options.codec;
    this.#meter = options.meter;
  }

  /** The codec to use for a chunk of this size, or undefined to send it as it is. */
  choose(sizeBytes: number): Codec | undefined {
    if (!this.#codec) return undefined;
    if (this.#pauseChunks > 0) {
      this.#pauseChunks--;
      return undefined;
    }
    const waitMs = this.#meter.backlogBytes / this.#meter.rateBpms;
    const wireMs = sizeBytes / this.#meter.rateBpms;
    const encodeMs = sizeBytes / this.#rateBpms;
    return Math.max(waitMs, encodeMs) + wireMs * this.#ratio < waitMs + wireMs ? this.#codec : undefined;
  }

  /** What encoding a chunk came to. Returns whether the result is worth sending. */
  encoded(outcome: { sizeBytes: number; encodedBytes: number; durationMs: number }): boolean {
    const ratio = outcome.encodedBytes / outcome.sizeBytes;
    const rateBpms = outcome.sizeBytes / Math.max(outcome.durationMs, 0.01);
    this.#rateBpms = this.#rateBpms * (1 - NEWEST_WEIGHT) + rateBpms * NEWEST_WEIGHT;
    if (ratio < WORTHWHILE_RATIO) {
      this.#ratio = this.#ratio * (1 - NEWEST_WEIGHT) + ratio * NEWEST_WEIGHT;
      this.#nextPauseChunks = 1;
      return true;
    }
    // Incompressible chunks come in runs (media, ciphertext): try again after growing pauses.
    this.#pauseChunks = this.#nextPauseChunks;
    this.#nextPauseChunks = Math.min(this.#nextPauseChunks * 2, LONGEST_PAUSE_CHUNKS);
    return false;
  }
}
