import type { Traffic } from './traffic.ts';

/** So many bytes may be handed over. */
export interface Leave {
  readonly sizeBytes: number;
  /** To be called once: when the kernel has them, or never will. */
  taken(): void;
}

export interface LinkFlowOptions {
  readonly limitBpms: number;
  readonly ask: (traffic: Traffic, mostBytes: number, signal: AbortSignal) => Promise<Leave>;
  readonly onClose: () => void;
}

/** What one migration sends, in its turns: see `LinkShare`. */
export class LinkFlow {
  readonly #options: LinkFlowOptions;

  constructor(options: LinkFlowOptions) {
    this.#options = options;
  }

  /** Bytes a millisecond, at most; infinite without a limit. */
  get limitBpms(): number {
    return this.#options.limitBpms;
  }

  /**
   * Write bytes, in slices when others are to have their turns in between.
   *
   * @param write settles when the kernel has taken what it is given
   * @throws what `write` gives, and the reason of `signal`
   */
  async send(
    traffic: Traffic,
    parts: readonly Uint8Array[],
    write: (parts: readonly Uint8Array[]) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    let rest = parts;
    do {
      const leave = await this.#options.ask(traffic, sizeOf(rest), signal);
      const [slice, later] = split(rest, leave.sizeBytes);
      try {
        await write(slice);
      } finally {
        leave.taken();
      }
      rest = later;
    } while (rest.length > 0);
  }

  /** Nothing more is sent. */
  close(): void {
    this.#options.onClose();
  }
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** The first bytes of these parts, and the others. */
function split(parts: readonly Uint8Array[], sizeBytes: number): [Uint8Array[], Uint8Array[]] {
  const first: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let roomBytes = sizeBytes;
  for (const part of parts) {
    const fits = Math.min(part.length, roomBytes);
    if (fits > 0 || part.length === 0) first.push(part.subarray(0, fits));
    if (fits < part.length) rest.push(part.subarray(fits));
    roomBytes -= fits;
  }
  return [first, rest];
}
