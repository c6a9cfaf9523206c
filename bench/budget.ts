/** A length of time that a program keeps to: it begins nothing that would not end in it, and gives up what does not. */
export class Budget {
  /** Fires when nothing more may go on but the coming down, for which `reserveMs` are left. */
  readonly signal: AbortSignal;
  readonly #endMs: number;

  constructor(lengthMs: number, reserveMs: number) {
    const usableMs = Math.max(0, lengthMs - reserveMs);
    this.#endMs = performance.now() + usableMs;
    this.signal = AbortSignal.timeout(usableMs);
  }

  fits(expectedMs: number): boolean {
    return performance.now() + expectedMs <= this.#endMs;
  }
}
