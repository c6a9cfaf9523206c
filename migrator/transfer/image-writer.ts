import { type FileHandle, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { damaged, translateWriteError } from './errors.ts';

/** Pieces being decoded or written at once. */
const CONCURRENCY = 4;

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly sizeBytes: number;
  /** Where the next piece belongs. */
  endOffset: number;
  readonly tasks: Set<Promise<void>>;
}

/**
 * Puts files together in a directory from pieces that come in order, a few writes at once. What is not written stays
 * a hole.
 */
export class ImageWriter {
  readonly #dir: string;
  readonly #tasks = new Set<Promise<void>>();
  #file: OpenFile | undefined;
  #failure: { readonly error: unknown } | undefined;
  #files = 0;
  #imageBytes = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  get files(): number {
    return this.#files;
  }

  /** The sizes of all files begun so far. */
  get imageBytes(): number {
    return this.#imageBytes;
  }

  /** Begin the next file. @throws HoldfastError `IMAGES_DAMAGED`, `IMAGES_DISK_FULL` */
  async begin(file: string, sizeBytes: number): Promise<void> {
    const target = this.#inside(file);
    this.#checkWhole();
    this.#closeFile();
    await this.#room();
    try {
      await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
      // `wx`: nothing is written twice, and no link that lies there is followed.
      const handle = await open(target, 'wx', 0o600);
      this.#file = { handle, path: file, sizeBytes, endOffset: 0, tasks: new Set() };
      await handle.truncate(sizeBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw damaged(`${file} came twice`, error);
      throw translateWriteError(error, this.#dir);
    }
    this.#files++;
    this.#imageBytes += sizeBytes;
  }

  /** Count the next piece of the file as a hole. */
  skip(offset: number, length: number): void {
    this.#advance(offset, length);
  }

  /**
   * Make and write the next piece of the file. Settles as soon as another piece may follow; `written` is called when this
   * one is in the file.
   *
   * @throws HoldfastError what this or an earlier piece met
   */
  async write(
    offset: number,
    length: number,
    make: () => Promise<Uint8Array>,
    written: () => void,
  ): Promise<void> {
    const file = this.#advance(offset, length);
    this.#run(async () => {
      await writeFully(file.handle, await make(), offset);
      written();
    }, file.tasks);
    await this.#room();
  }

  /** Settles when every file is whole and closed. @throws HoldfastError `IMAGES_DAMAGED`, `IMAGES_DISK_FULL` */
  async finish(): Promise<void> {
    this.#checkWhole();
    await this.close();
    if (this.#failure) throw this.#failure.error;
  }

  /** Settles when nothing is under way or open any more. Never throws. */
  async close(): Promise<void> {
    this.#closeFile();
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

  #advance(offset: number, length: number): OpenFile {
    const file = this.#file;
    if (!file || offset !== file.endOffset || offset + length > file.sizeBytes) {
      throw damaged(`a piece of ${length} bytes at ${offset} of ${file?.path ?? 'no file'} is out of place`);
    }
    file.endOffset += length;
    return file;
  }

  #checkWhole(): void {
    const file = this.#file;
    if (!file || file.endOffset === file.sizeBytes) return;
    throw damaged(`${file.path} ended at ${file.endOffset} of ${file.sizeBytes} bytes`);
  }

  #closeFile(): void {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    this.#run(async () => {
      await Promise.all(file.tasks);
      await file.handle.close();
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
async function writeFully(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}
