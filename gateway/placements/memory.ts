import { readFile } from 'node:fs/promises';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { HoldfastError } from '../../migrator/errors.ts';
import { replaceFile } from '../../migrator/replace-file.ts';

const Remembered = Type.Object({
  /** App to the host it was last seen on. */
  hosts: Type.Record(Type.String(), Type.String()),
  /** App to host to the port its container has there. */
  ports: Type.Record(Type.String(), Type.Record(Type.String(), Type.Integer())),
});
export type Remembered = Static<typeof Remembered>;

/** The last known placements in a file, so that a gateway started while an agent is down still finds its apps. */
export class PlacementMemory {
  readonly #file: string;
  #lastWrite: Promise<void> = Promise.resolve();
  /** What this process has put into the file. */
  #onDisk: string | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws HoldfastError `PLACEMENTS_UNREADABLE` when there is a file and it makes no sense. */
  async read(): Promise<Remembered> {
    let value: unknown;
    try {
      value = JSON.parse(await readFile(this.#file, 'utf8'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { hosts: {}, ports: {} };
      throw this.#unreadable(cause);
    }
    if (!Value.Check(Remembered, value)) throw this.#unreadable();
    return value;
  }

  /** Settles when the content is on the disk. Writes are made one after the other, each a whole file, if it is another. */
  write(content: Remembered): Promise<void> {
    const text = `${JSON.stringify(content, null, 2)}\n`;
    const written = this.#lastWrite.then(async () => {
      if (text === this.#onDisk) return;
      this.#onDisk = undefined;
      await replaceFile(this.#file, text);
      this.#onDisk = text;
    });
    this.#lastWrite = written.catch(() => {}); // A failed write is its caller's to handle, not the next one's.
    return written;
  }

  #unreadable(cause?: unknown): HoldfastError {
    return new HoldfastError('PLACEMENTS_UNREADABLE', `${this.#file} is not a list of placements`, {
      mend: 'remove the file: the hosts will be asked where the apps run',
      cause,
    });
  }
}
