import { type FileHandle, open } from 'node:fs/promises';
import { HoldfastError } from '../errors.ts';
import { innerPid } from './layout.ts';

/** The memory of frozen processes, by the pids they have inside their container. */
export class ProcessMemories {
  readonly #pids: readonly number[];
  #inner: Map<number, number> | undefined;
  readonly #files = new Map<number, FileHandle>();

  /** @param pids of this host */
  constructor(pids: readonly number[]) {
    this.#pids = pids;
  }

  /** Fill `target` with what is at `address`. @throws HoldfastError `MEMORY_UNREADABLE` when not all of it is there */
  async read(pid: number, address: number, target: Buffer): Promise<void> {
    const file = await this.#file(pid);
    for (let filled = 0; filled < target.length; ) {
      const { bytesRead } = await file
        .read(target, filled, target.length - filled, address + filled)
        .catch((cause: unknown) => {
          throw unreadable(pid, cause);
        });
      if (bytesRead === 0) throw unreadable(pid);
      filled += bytesRead;
    }
  }

  /** The descriptor of the process's `/proc/PID/mem`, open until `close`. @throws HoldfastError `MEMORY_UNREADABLE` */
  async descriptor(pid: number): Promise<number> {
    return (await this.#file(pid)).fd;
  }

  close(): void {
    for (const file of this.#files.values()) void file.close();
    this.#files.clear();
  }

  async #file(pid: number): Promise<FileHandle> {
    const opened = this.#files.get(pid);
    if (opened) return opened;
    this.#inner ??= await byInnerPid(this.#pids);
    const outer = this.#inner.get(pid);
    if (outer === undefined) throw unreadable(pid);
    const file = await open(`/proc/${outer}/mem`, 'r').catch((cause: unknown) => {
      throw unreadable(pid, cause);
    });
    this.#files.set(pid, file);
    return file;
  }
}

async function byInnerPid(pids: readonly number[]): Promise<Map<number, number>> {
  const pairs = await Promise.all(pids.map(async (pid) => [await innerPid(pid), pid] as const));
  return new Map(pairs.flatMap(([inner, pid]) => (inner === undefined ? [] : [[inner, pid]])));
}

function unreadable(pid: number, cause?: unknown): HoldfastError {
  return new HoldfastError('MEMORY_UNREADABLE', `memory of process ${pid} of the container is not there`, {
    mend: 'see whether something other than Holdfast has ended or woken the frozen container at the source',
    cause,
  });
}
