import { HoldfastError } from '../errors.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { BLOCK_BYTES, PageState } from './block.ts';
import { ProcessMemory } from './process-memory.ts';

/** What was read of a frozen process while CRIU worked on it: which pages are as they were known. */
export class SeenPages {
  /** `PageState` of each page, by the block's address. */
  readonly #states = new Map<number, Uint8Array>();
  #last: { readonly address: number; readonly states: Uint8Array | undefined } | undefined;

  see(address: number, states: Uint8Array): void {
    this.#states.set(address, Uint8Array.from(states));
    this.#last = undefined;
  }

  isSame(address: number): boolean {
    const offset = address % BLOCK_BYTES;
    const block = address - offset;
    if (this.#last?.address !== block) this.#last = { address: block, states: this.#states.get(block) };
    return this.#last.states?.[offset / PAGE_BYTES] === PageState.same;
  }
}

export interface FrozenProcess {
  readonly memory: ProcessMemory;
  readonly seen: SeenPages;
}

/** The processes of a frozen container, open to be read, by the pids they have inside it. */
export class FrozenProcesses {
  readonly #processes: ReadonlyMap<number, FrozenProcess>;

  private constructor(processes: ReadonlyMap<number, FrozenProcess>) {
    this.#processes = processes;
  }

  /** They must be closed. @param pids of this host */
  static async open(pids: readonly number[]): Promise<FrozenProcesses> {
    const memories = await Promise.all(pids.map((pid) => ProcessMemory.open(pid)));
    return new FrozenProcesses(
      new Map(
        memories.flatMap((memory) => (memory ? [[memory.innerPid, { memory, seen: new SeenPages() }]] : [])),
      ),
    );
  }

  [Symbol.iterator](): IterableIterator<[number, FrozenProcess]> {
    return this.#processes.entries();
  }

  /** @throws HoldfastError `MEMORY_UNREADABLE` */
  get(innerPid: number): FrozenProcess {
    const process = this.#processes.get(innerPid);
    if (process) return process;
    throw memoryUnreadable(`process ${innerPid} is in the checkpoint and not in the container`);
  }

  async close(): Promise<void> {
    for (const { memory } of this.#processes.values()) await memory.close();
  }
}

export function memoryUnreadable(why: string): HoldfastError {
  return new HoldfastError('MEMORY_UNREADABLE', `the memory of the frozen app could not be read: ${why}`, {
    mend: 'migrate again; the app runs on at its source',
    retryable: true,
  });
}
