import { Worker } from 'node:worker_threads';
import { HoldfastError } from '../errors.ts';
import { PAGE_BYTES } from '../transfer/frame.ts';
import { BLOCK_PAGES, PageState, type PagesOfBlock, ReadSlot } from './block.ts';
import { type Effort, Pace } from './pace.ts';
import { SECOND_SEED } from './page-hash.ts';
import { PressureGauge } from './pressure.ts';
import type { ReaderReply, ReaderSetup, ReaderTask } from './reader-task.ts';

const SETUP: ReaderSetup = {
  pageBytes: PAGE_BYTES,
  blockPages: BLOCK_PAGES,
  secondSeed: SECOND_SEED,
  same: PageState.same,
  changed: PageState.changed,
  zero: PageState.zero,
};
/** Enough that a thread finds one when it is done, even while the main thread is busy with the link for some milliseconds. */
export const TASKS_PER_THREAD = 8;
/** A block takes a millisecond; only a kernel that does not give the memory out takes as long. */
const TASK_TIMEOUT_MS = 10_000;

/** Pages of a process to be read, and perhaps compared. */
export interface ReadRequest extends PagesOfBlock {
  /** The descriptor of `/proc/PID/mem`. It must stay open until all that was asked for has come. */
  readonly memory: number;
  /** Hashes of the block's pages as they are known; without them every page counts as changed. */
  readonly known: SharedArrayBuffer | undefined;
  /** Whether pages are to be hashed, and compared by that. It takes as long as reading them. */
  readonly hashed: boolean;
}

/** What was read. The slot is the reader's again when the next one is asked for. */
export interface BlockRead<Request extends ReadRequest> {
  readonly request: Request;
  readonly slot: ReadSlot;
}

interface Task {
  readonly message: ReaderTask;
  deadline: NodeJS.Timeout | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly tasks: Map<number, Task>;
}

/** Threads that read and hash the memory of processes beside this one's own work. */
export class PageReaders {
  readonly #most: number;
  readonly #pace: Pace;
  readonly #slots: ReadSlot[] = [];
  readonly #waiting: Task[] = [];
  #threads: Thread[] = [];
  #taskId = 0;
  #failure: HoldfastError | undefined;

  /** @param options.most threads */
  constructor(options: { most: number; pace?: Pace }) {
    this.#most = options.most;
    const gauge = new PressureGauge();
    this.#pace = options.pace ?? new Pace({ most: options.most, pressure: () => gauge.read() });
  }

  get threads(): number {
    return this.#most;
  }

  set effort(effort: Effort) {
    this.#pace.effort = effort;
  }

  /** Have the threads ready: they take a while to start, and later the app may be frozen. */
  start(): void {
    while (!this.#failure && this.#threads.length < this.#most) this.#threads.push(this.#startThread());
  }

  /**
   * Read what is asked for, on as many threads as the host can spare, and give it in the order of the requests. No more is
   * read ahead than there are tasks for the threads.
   *
   * @throws HoldfastError `MEMORY_READER_FAILED`, what `requests` gives, and the reason of `signal`
   */
  async *read<Request extends ReadRequest>(
    requests: AsyncIterable<Request> | Iterable<Request>,
    signal: AbortSignal,
  ): AsyncGenerator<BlockRead<Request>> {
    this.start();
    const underWay: { readonly read: BlockRead<Request>; readonly done: Promise<void> }[] = [];
    const oldest = async function* (slots: ReadSlot[]): AsyncGenerator<BlockRead<Request>> {
      const next = underWay[0];
      if (next === undefined) return;
      await next.done;
      signal.throwIfAborted();
      underWay.shift();
      try {
        yield next.read;
      } finally {
        slots.push(next.read.slot);
      }
    };
    try {
      for await (const request of requests) {
        signal.throwIfAborted();
        await this.#pace.adapt();
        const slot = this.#slots.pop() ?? new ReadSlot();
        const done = this.#submit(request, slot);
        done.catch(() => {}); // It is awaited in its turn; until then a failure is not unhandled.
        underWay.push({ read: { request, slot }, done });
        if (underWay.length >= this.#pace.threads * TASKS_PER_THREAD) yield* oldest(this.#slots);
      }
      while (underWay.length > 0) yield* oldest(this.#slots);
    } finally {
      // Nobody may close a process's memory, or use a slot again, while it is being read.
      await Promise.allSettled(underWay.map(({ done }) => done));
      this.#slots.push(...underWay.map(({ read }) => read.slot));
    }
  }

  /** End the threads. What is under way fails. */
  async close(): Promise<void> {
    await this.#fail(new HoldfastError('INTERRUPTED', 'the readers of memory were closed'));
  }

  #submit(request: ReadRequest, slot: ReadSlot): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) throw this.#failure;
      const { memory, address, runs, known, hashed } = request;
      const id = this.#taskId++;
      const message = { id, nice: this.#pace.nice, memory, address, runs, known, hashed, slot: slot.shared };
      this.#waiting.push({ message, resolve, reject, deadline: undefined });
      this.#dispatch();
    });
  }

  /** Give waiting tasks to the threads that work at this pace, the least busy first. */
  #dispatch(): void {
    const working = this.#threads.slice(0, this.#pace.threads);
    for (;;) {
      const thread = working.reduce<Thread | undefined>(
        (least, one) => (least && least.tasks.size <= one.tasks.size ? least : one),
        undefined,
      );
      if (thread === undefined || thread.tasks.size >= TASKS_PER_THREAD) return;
      const task = this.#waiting.shift();
      if (task === undefined) return;
      thread.tasks.set(task.message.id, task);
      task.deadline = setTimeout(() => {
        void this.#fail(readerFailed(`a block was not read within ${TASK_TIMEOUT_MS} ms`));
      }, TASK_TIMEOUT_MS);
      thread.worker.postMessage(task.message);
    }
  }

  #startThread(): Thread {
    const worker = new Worker(new URL('./reader-thread.js', import.meta.url), {
      name: 'page-reader',
      workerData: SETUP,
      execArgv: [], // It needs none of this process's loaders.
    });
    const thread: Thread = { worker, tasks: new Map() };
    worker.on('message', (reply: ReaderReply) => this.#replied(thread, reply));
    worker.on('error', (cause) => void this.#fail(readerFailed('it crashed', cause)));
    worker.on('exit', (code) => void this.#fail(readerFailed(`it ended with code ${code}`)));
    return thread;
  }

  #replied(thread: Thread, { id, error }: ReaderReply): void {
    const task = thread.tasks.get(id);
    thread.tasks.delete(id);
    clearTimeout(task?.deadline);
    if (error === undefined) task?.resolve();
    else task?.reject(readerFailed(error));
    this.#dispatch();
  }

  /** Whatever waits for a thread is told; nothing is begun any more. */
  async #fail(failure: HoldfastError): Promise<void> {
    this.#failure ??= failure;
    const threads = this.#threads;
    this.#threads = [];
    for (const { tasks } of threads) {
      for (const task of tasks.values()) {
        clearTimeout(task.deadline);
        task.reject(this.#failure);
      }
    }
    for (const task of this.#waiting.splice(0)) task.reject(this.#failure);
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  }
}

function readerFailed(what: string, cause?: unknown): HoldfastError {
  return new HoldfastError('MEMORY_READER_FAILED', `a thread that reads memory failed: ${what}`, {
    mend: 'migrate again; if it recurs, see whether the host has memory left, and the log of the agent',
    retryable: true,
    cause,
  });
}
