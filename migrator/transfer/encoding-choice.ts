import type { Codec } from './codec.ts';
import type { LinkMeter } from './link-meter.ts';

/** What is assumed of a codec until it has been measured. */
const ASSUMED_RATE_BPMS = 300_000;
const ASSUMED_RATIO = 0.5;
/** A chunk that shrinks by less than this is not worth the other end's time. */
const WORTHWHILE_RATIO = 0.9;
const LONGEST_PAUSE_CHUNKS = 16;
const NEWEST_WEIGHT = 0.3;
const FORGETTING = 1.05;

/**
 * Decides for each chunk whether encoding it gets it to the other end sooner. The codec must be faster than the link;
 * then, while the link is busy with what it was handed before, encoding is free, and once the link runs dry, time
 * spent encoding is time lost. The first chunk goes as it is, to see what the link can do.
 */
export class EncodingChoice {
  readonly #codec: Codec | undefined;
  readonly #meter: LinkMeter;
  #rateBpms = ASSUMED_RATE_BPMS;
  #ratio = ASSUMED_RATIO;
  #pauseChunks = 1;
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
    if (this.#rateBpms < this.#meter.rateBpms) {
      this.#rateBpms *= FORGETTING; // A codec once slow, for want of a core, is tried again.
      return undefined;
    }
    const waitMs = this.#meter.backlogBytes / this.#meter.rateBpms;
    const wireMs = sizeBytes / this.#meter.rateBpms;
    const encodeMs = sizeBytes / this.#rateBpms;
    if (Math.max(waitMs, encodeMs) + wireMs * this.#ratio >= waitMs + wireMs) return undefined;
    return this.#codec;
  }

  /** What encoding a chosen chunk came to. Returns whether the result is worth sending. */
  encoded(outcome: { sizeBytes: number; encodedBytes: number; durationMs: number }): boolean {
    const ratio = outcome.encodedBytes / outcome.sizeBytes;
    // One chunk's rate, though several are encoded side by side: on a host short of cores it falls below the link's,
    // and what is left of the cores goes to TLS and to the other end.
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
