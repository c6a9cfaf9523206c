import { type BigIntStats, lstatSync } from 'node:fs';
import { opendir, readdir } from 'node:fs/promises';

/**
 * Paths below a tree are strings in latin1, a byte a character, so that every name there can be stays what it is. They
 * are relative; the tree's root is ''.
 */
export function pathIn(dir: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(path, 'latin1')]);
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** Whether a path that somebody else named leads down from the root, and nowhere else. */
export function leadsDown(path: string): boolean {
  return path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
}

/** Whether nothing at all is in a directory. */
export async function isEmpty(dir: string): Promise<boolean> {
  const entries = await opendir(dir);
  try {
    return (await entries.read()) === null;
  } finally {
    await entries.close();
  }
}

export const Thing = { file: 'file', directory: 'directory', other: 'other' } as const;
export type Thing = (typeof Thing)[keyof typeof Thing];

export interface Met {
  readonly thing: Thing;
  readonly inode: string;
  readonly links: number;
  /** Of a file: at least a block of it is a hole. */
  readonly hasHoles: boolean;
}

/** In which a file's allocation is counted, see stat(2); and what a file system allocates at least. */
const UNIT_BYTES = 512n;
const BLOCK_BYTES = 4096n;

/** What is where in a tree, each looked at once. A path that leads through what is no directory leads nowhere. */
export class Sight {
  readonly #dir: string;
  readonly #met = new Map<string, Met | undefined>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  at(path: string): Met | undefined {
    if (!this.#met.has(path)) {
      const isReached = path === '' || this.at(parentOf(path))?.thing === Thing.directory;
      this.#met.set(path, isReached ? this.#look(path) : undefined);
    }
    return this.#met.get(path);
  }

  /** The path itself while its parent is a directory, else the nearest ancestor of which that is so. */
  nearest(path: string): string {
    let nearest = path;
    while (nearest !== '' && this.at(parentOf(nearest))?.thing !== Thing.directory)
      nearest = parentOf(nearest);
    return nearest;
  }

  /** A directory's path and those of all that is below it. */
  async below(path: string): Promise<string[]> {
    const paths = [path];
    const entries = await readdir(pathIn(this.#dir, path), { encoding: 'latin1', withFileTypes: true }).catch(
      () => [],
    );
    for (const entry of entries) {
      const inner = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) paths.push(...(await this.below(inner)));
      else paths.push(inner);
    }
    return paths;
  }

  #look(path: string): Met | undefined {
    const stat = statIn(this.#dir, path);
    if (stat === undefined) return undefined;
    const thing = stat.isFile() ? Thing.file : stat.isDirectory() ? Thing.directory : Thing.other;
    return {
      thing,
      inode: String(stat.ino),
      links: Number(stat.nlink),
      hasHoles: thing === Thing.file && stat.size - stat.blocks * UNIT_BYTES >= BLOCK_BYTES,
    };
  }
}

function statIn(dir: string, path: string): BigIntStats | undefined {
  try {
    return lstatSync(pathIn(dir, path), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    // The directory that was on the way has just become something else.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}
