import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

/** The last states of the project that are remembered: going back to one finds what passed in it. */
const STATES_KEPT = 10;

/**
 * The test files that have passed in one state of the project and the machine, one line each in a file named by that
 * state. A line is written as a test file ends, so an interrupted run is taken up where it stopped.
 */
export class PassedFiles {
  readonly #file: string;
  readonly #names: Set<string>;

  /** @param dir is the project's own and ignored by git: a fresh clone remembers nothing. */
  constructor(dir: string, state: string) {
    mkdirSync(dir, { recursive: true });
    this.#file = path.join(dir, state);
    appendFileSync(this.#file, ''); // Looked at last, so removed last.
    this.#names = new Set(readFileSync(this.#file, 'utf8').split('\n').filter(Boolean));
    removeAllBut(STATES_KEPT, dir);
  }

  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  add(name: string): void {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    appendFileSync(this.#file, `${name}\n`);
  }
}

function removeAllBut(most: number, dir: string): void {
  const usedMs = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const files = readdirSync(dir).map((name) => path.join(dir, name));
  const newestFirst = files.map((file) => ({ file, ms: usedMs(file) })).sort((a, b) => b.ms - a.ms);
  for (const { file } of newestFirst.slice(most)) rmSync(file, { force: true });
}
