import { type FileHandle, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { damaged, translateWriteError } from './errors.ts';

/** Pieces being decoded or written at once. */
const CONCURRENCY = 4;

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  /** Where the next piece belongs. */
  endOffset: number;
  readonly tasks: Set<Promise<void>>;
}

/**
 * Puts files together in a directory from pieces that come in order for each file, a few writes at once. What is not
 * written stays a hole.
 */
export class ImageWriter {
  readonly #dir: string;
  readonly #tasks = new Set<Promise<void>>();
  /** By number; those that have ended are gone from it. */
  readonly #open = new Map<number, OpenFile>();
  #failure: { readonly error: unknown } | undefined;
  #files = 0;
  #imageBytes = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  get files(): number {
    return this.#files;
  }

  /** What the files measure so far. */
  get imageBytes(): number {
    return this.#imageBytes;
  }

  /** Begin the next file. @throws HoldfastError `IMAGES_DAMAGED`, `IMAGES_DISK_FULL` */
  async begin(file: string): Promise<void> {
    const target = this.#inside(file);
    await this.#room();
    try {
      await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
      // `wx`: nothing is written twice, and no link that lies there is followed.
      const handle = await open(target, 'wx', 0o600);
      this.#open.set(this.#files, { handle, path: file, endOffset: 0, tasks: new Set() });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw damaged(`${file} came twice`, error);
      throw translateWriteError(error, this.#dir);
    }
    this.#files++;
  }

  /** Count the next piece of the file as a hole. */
  skip(file: number, offset: number, length: number): void {
    this.#advance(file, offset, length);
  }

  /** The file has come to its end. @throws HoldfastError `IMAGES_DAMAGED` when something of it is missing */
  end(number: number, sizeBytes: number): void {
    const file = this.#open.get(number);
    if (file?.endOffset !== sizeBytes) {
      throw damaged(`${file?.path ?? 'no file'} ended at ${file?.endOffset} of ${sizeBytes} bytes`);
    }
    this.#open.delete(number);
    this.#close(file, sizeBytes);
  }

  /**
   * Make and write the next piece of the file. Settles as soon as another piece may follow; `written` is called when this
   * one is in the file.
   *
   * @throws HoldfastError what this or an earlier piece met
   */
  async write(
    number: number,
    offset: number,
    length: number,
    make: () => Promise<readonly Uint8Array[]>,
    written: () => void,
  ): Promise<void> {
    const file = this.#advance(number, offset, length);
    this.#run(async () => {
      const views = await make();
      const sizeBytes = views.reduce((sum, view) => sum + view.length, 0);
      if (sizeBytes !== length) throw damaged(`${sizeBytes} bytes for a piece of ${length}`);
      await writeFully(file.handle, views, offset);
      written();
    }, file.tasks);
    await this.#room();
  }

  /** Settles when every file is whole and closed. @throws HoldfastError `IMAGES_DAMAGED`, `IMAGES_DISK_FULL` */
  async finish(): Promise<void> {
    const [unfinished] = this.#open.values();
    if (unfinished) throw damaged(`${unfinished.path} has no end`);
    await this.close();
    if (this.#failure) throw this.#failure.error;
  }

  /** Settles when nothing is under way or open any more. Never throws. */
  async close(): Promise<void> {
    for (const file of this.#open.values()) this.#close(file, file.endOffset);
    this.#open.clear();
    await Promise.all(this.#tasks);
  }

  /** Where `file` goes, which must be below the directory. */
  #inside(file: string): string {
    const target = path.resolve(this.#dir, file);
    const inside = target.startsWith(`${path.resolve(this.#dir)}${path.sep}`);
    if (!inside || file.includes('\0') || path.relative(this.#dir, target) !== file) {
      throw damaged(`${JSON.stringify(file)} is not a path below the checkpoint`);
    }
    return target;
  }

  #advance(number: number, offset: number, length: number): OpenFile {
    const file = this.#open.get(number);
    if (!file || offset !== file.endOffset) {
      throw damaged(`a piece of ${length} bytes at ${offset} of ${file?.path ?? 'no file'} is out of place`);
    }
    file.endOffset += length;
    this.#imageBytes += length;
    return file;
  }

  #close(file: OpenFile, sizeBytes: number): void {
    this.#run(async () => {
      await Promise.all(file.tasks);
      try {
        await file.handle.truncate(sizeBytes); // A hole at the end was never written.
      } finally {
        await file.handle.close();
      }
    }, new Set());
  }

  /** Run a task to its end whatever becomes of it; the first failure is kept for whoever comes next. */
  #run(work: () => Promise<void>, others: Set<Promise<void>>): void {
    const task = work()
      .catch((error: unknown) => {
        this.#failure ??= { error: translateWriteError(error, this.#dir) };
      })
      .finally(() => {
        this.#tasks.delete(task);
        others.delete(task);
      });
    this.#tasks.add(task);
    others.add(task);
  }

  async #room(): Promise<void> {
    while (this.#tasks.size >= CONCURRENCY && !this.#failure) await Promise.race(this.#tasks);
    if (this.#failure) throw this.#failure.error;
  }
}

/** A write may be cut short when the file system is nearly full; the next one says so. */
async function writeFully(handle: FileHandle, views: readonly Uint8Array[], offset: number): Promise<void> {
  let at = offset;
  for (let left = views; left.length > 0; ) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = withoutFirst(left, bytesWritten);
  }
}

function withoutFirst(views: readonly Uint8Array[], sizeBytes: number): Uint8Array[] {
  let skipBytes = sizeBytes;
  return views.flatMap((view) => {
    const rest = view.subarray(Math.min(skipBytes, view.length));
    skipBytes -= view.length - rest.length;
    return rest.length === 0 ? [] : [rest];
  });
}
