import { type FileHandle, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { MigrationEvent } from './events.ts';

/** The last line of a journal whose migration left nothing to do anywhere. */
interface Closed {
  readonly type: 'closed';
}

export interface JournalContent {
  readonly id: string;
  readonly events: MigrationEvent[];
  /** Nothing is left to be done for this migration, on any host. */
  readonly closed: boolean;
}

const SUFFIX = '.jsonl';

/**
 * One migration's journal: a file of JSON lines, only ever appended to. What is written `durable` has reached the
 * disk, with all that came before it, when the promise settles.
 */
export class Journal {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Create the journal of a new migration, or open the one a crash left to go on with it. */
  static async open(directory: string, id: string): Promise<Journal> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = await open(path.join(directory, id + SUFFIX), 'a+', 0o600);
    const folder = await open(directory, 'r');
    try {
      // A line that a crash cut short was never acted upon. What follows must not be appended to it.
      await file.truncate((await file.readFile()).lastIndexOf('\n') + 1);
      // Without this a crash may forget the file's name although its content is safe.
      await folder.sync();
    } catch (error) {
      await file.close();
      throw error;
    } finally {
      await folder.close();
    }
    return new Journal(file);
  }

  async append(entry: MigrationEvent | Closed, options: { durable: boolean }): Promise<void> {
    await this.#file.write(`${JSON.stringify(entry)}\n`);
    if (options.durable) await this.#file.datasync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Every journal in `directory`, oldest first. A last line cut short by a crash was never acted upon: it is left out. */
export async function readJournals(directory: string): Promise<JournalContent[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const names = (await readdir(directory)).filter((name) => name.endsWith(SUFFIX)).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(path.join(directory, name), 'utf8');
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      const entries = whole
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as MigrationEvent | Closed);
      return {
        id: name.slice(0, -SUFFIX.length),
        events: entries.filter((entry): entry is MigrationEvent => entry.type !== 'closed'),
        closed: entries.some((entry) => entry.type === 'closed'),
      };
    }),
  );
}

/** Remove the oldest closed journals, so that `keep` of them stay. */
export async function pruneJournals(
  directory: string,
  journals: JournalContent[],
  keep: number,
): Promise<void> {
  const closed = journals.filter((journal) => journal.closed);
  const extra = closed.slice(0, Math.max(0, closed.length - keep));
  await Promise.all(extra.map((journal) => unlink(path.join(directory, journal.id + SUFFIX))));
}
