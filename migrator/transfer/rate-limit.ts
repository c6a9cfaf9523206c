/** Time that was lost, to a timer that came late above all, may be made up for so long. */
const CATCH_UP_MS = 25;
const SLICE_MS = 5;
const LEAST_SLICE_BYTES = 16 * 1024;
/** What TLS adds to each record, and the longest of them. */
const RECORD_OVERHEAD_BYTES = 22;
const RECORD_BYTES = 16 * 1024;

/**
 * So many bytes in a time and no more. It is told what was sent, and tells when the next may be: the generic cell rate
 * algorithm (ITU-T I.371), which is a token bucket without a timer.
 */
export class RateLimit {
  readonly bytesPerMs: number;
  #readyAt = Number.NEGATIVE_INFINITY;

  constructor(rateBps: number) {
    this.bytesPerMs = rateBps / 8000;
  }

  /** From when on something may be sent. */
  get readyAt(): number {
    return this.#readyAt;
  }

  /** What may be sent at a time: whatever is more urgent waits for as long as that takes. */
  get sliceBytes(): number {
    return Math.max(LEAST_SLICE_BYTES, this.bytesPerMs * SLICE_MS);
  }

  sent(sizeBytes: number, now: number): void {
    const wireBytes = sizeBytes + Math.ceil(sizeBytes / RECORD_BYTES) * RECORD_OVERHEAD_BYTES;
    this.#readyAt = Math.max(this.#readyAt, now - CATCH_UP_MS) + wireBytes / this.bytesPerMs;
  }
}
