import { readFile } from 'node:fs/promises';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type { Logger } from 'pino';
import { Strategy } from '../events.ts';
import { replaceFile } from '../replace-file.ts';
import { Cost, type Experience } from './costs.ts';

/** Raised whenever the points mean something else: what was learnt before is then of no use. */
const VERSION = 2;
/** Of each pair of hosts. */
const KEPT = 60;

const Point = Type.Object({ x: Type.Number(), y: Type.Number() });
const Kept = Type.Object({
  version: Type.Literal(VERSION),
  pairs: Type.Array(
    Type.Object({
      from: Type.String(),
      to: Type.String(),
      /** The newest first. */
      moves: Type.Array(
        Type.Object({
          app: Type.String(),
          strategy: Type.Enum(Strategy),
          points: Type.Partial(
            Type.Object(Object.fromEntries(Object.values(Cost).map((cost) => [cost, Point]))),
          ),
        }),
      ),
    }),
  ),
});
type Kept = Static<typeof Kept>;

/** Past moves, by the pair of hosts, in a small file. It is a help and no more: without it there are assumptions. */
export class Experiences {
  readonly #file: string;
  readonly #log: Logger;
  readonly #pairs: { from: string; to: string; moves: Experience[] }[];
  #lastWrite: Promise<void> = Promise.resolve();

  private constructor(file: string, log: Logger, kept: Kept) {
    this.#file = file;
    this.#log = log;
    this.#pairs = kept.pairs as { from: string; to: string; moves: Experience[] }[];
  }

  /** A file that is not there, makes no sense or is of another version is begun anew. */
  static async open(file: string, log: Logger): Promise<Experiences> {
    return new Experiences(file, log, await read(file, log));
  }

  /** The newest first. */
  of(pair: { from: string; to: string }): readonly Experience[] {
    return this.#find(pair)?.moves ?? [];
  }

  /** The newest first, and then of what was never tried in this direction how it went in the other. */
  between({ from, to }: { from: string; to: string }): readonly Experience[] {
    const there = this.of({ from, to });
    const tried = new Set(there.map(({ strategy }) => strategy));
    return [...there, ...this.of({ from: to, to: from }).filter(({ strategy }) => !tried.has(strategy))];
  }

  /** Settles when it is on the disk, or cannot be written. */
  async add({ from, to }: { from: string; to: string }, experience: Experience): Promise<void> {
    let pair = this.#find({ from, to });
    if (pair === undefined) {
      pair = { from, to, moves: [] };
      this.#pairs.push(pair);
    }
    pair.moves = [experience, ...pair.moves].slice(0, KEPT);
    const text = `${JSON.stringify({ version: VERSION, pairs: this.#pairs })}\n`;
    this.#lastWrite = this.#lastWrite
      .then(() => replaceFile(this.#file, text))
      .catch((err: unknown) => this.#log.warn({ err, file: this.#file }, 'what a move took cannot be kept'));
    await this.#lastWrite;
  }

  /** Settles when all that was added is on the disk, or cannot be written. */
  async close(): Promise<void> {
    await this.#lastWrite;
  }

  #find({ from, to }: { from: string; to: string }) {
    return this.#pairs.find((pair) => pair.from === from && pair.to === to);
  }
}

async function read(file: string, log: Logger): Promise<Kept> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (Value.Check(Kept, value)) return value;
    log.warn({ file }, 'what past moves took is not understood: it is learnt anew');
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn({ err, file }, 'what past moves took cannot be read: it is learnt anew');
    }
  }
  return { version: VERSION, pairs: [] };
}
