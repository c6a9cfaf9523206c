import { HoldfastError } from '../migrator/errors.ts';
import { refusal } from './errors.ts';

/** One command of HAProxy's runtime API, and how its answer is read. */
export interface Command<T> {
  /** Without its line end. */
  readonly line: string;
  /** Lines sent after the command's own; see `payload`. */
  readonly payload?: string;
  /** Carried out twice it comes to the same, so it may be asked again when its answer was lost. */
  readonly repeatable: boolean;
  /** The master process answers, not one of its workers. */
  readonly ofMaster?: boolean;
  /** What it takes by design, beyond what any command may take. */
  readonly lastsMs?: number;
  /** @param answer without its last line end @throws HoldfastError what HAProxy refused it for */
  read(answer: string): T;
}

/** What a list of commands answers, each its own. */
export type Answers<C extends readonly Command<unknown>[]> = {
  -readonly [I in keyof C]: C[I] extends Command<infer T> ? T : never;
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get through.
const UNSAYABLE = /[\0-\x08\x0a-\x1f\x7f]/;

/**
 * Words as one line, so that HAProxy reads exactly them: it splits at blanks and semicolons, and takes `<<` for the
 * beginning of a payload.
 *
 * @throws HoldfastError `HAPROXY_WORD_INVALID` for what no escape can carry: nothing, line ends, control characters
 */
export function commandLine(...words: readonly string[]): string {
  return words
    .map((word) => {
      if (word === '' || UNSAYABLE.test(word) || word.startsWith('<<')) throw unsayable(word);
      return word.replace(/[\\ \t;]/g, '\\$&');
    })
    .join(' ');
}

/**
 * Lines to come after a command that ends with ` <<`. An empty line is the end of the payload, in every version.
 *
 * @throws HoldfastError `HAPROXY_WORD_INVALID`
 */
export function payload(lines: readonly string[]): string {
  for (const line of lines) if (line.trim() === '' || UNSAYABLE.test(line)) throw unsayable(line);
  return lines.map((line) => `${line}\n`).join('');
}

/** The answer of a command that says nothing when all is well. */
export function readNothing(answer: string): void {
  if (answer !== '') throw refusal(answer);
}

function unsayable(word: string): HoldfastError {
  return new HoldfastError('HAPROXY_WORD_INVALID', `${JSON.stringify(word)} cannot be said to HAProxy`, {
    mend: 'leave out line ends, control characters and a leading <<',
  });
}
