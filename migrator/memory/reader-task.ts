/** What a reader thread is told when it starts. */
export interface ReaderSetup {
  readonly pageBytes: number;
  readonly blockPages: number;
  readonly secondSeed: bigint;
  /** Of `PageState`. */
  readonly same: number;
  readonly changed: number;
  readonly zero: number;
}

/** Pages of one block to be read, and perhaps compared. */
export interface ReaderTask {
  readonly id: number;
  /** The thread's priority for this, see nice(2). */
  readonly nice: number;
  /** The descriptor of `/proc/PID/mem`: threads have them in common. */
  readonly memory: number;
  /** Of the block. */
  readonly address: number;
  /** See `PagesOfBlock`. */
  readonly runs: readonly number[];
  /** Hashes of the block's pages as they are known; without them every page counts as changed. */
  readonly known: SharedArrayBuffer | undefined;
  /** See `ReadRequest`. */
  readonly hashed: boolean;
  /** A `ReadSlot`. */
  readonly slot: SharedArrayBuffer;
}

export interface ReaderReply {
  readonly id: number;
  readonly error: string | undefined;
}
