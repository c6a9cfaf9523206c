/** A line of a haproxy.cfg that says something. */
export interface ConfigLine {
  /** From 1 on. */
  readonly number: number;
  /** As HAProxy splits it, quotes and comments gone. */
  readonly words: readonly string[];
  /** As it is written. */
  readonly text: string;
}

/** Stands in a word for a variable of HAProxy's environment, which nobody else knows: it may be anything. */
export const ANYTHING = '\0';

const VARIABLE = /\$(?:\{(\w+)[^}]*\}|(\w+))/y;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/**
 * The lines of a configuration, split into words as HAProxy does (configuration manual, 2.2): blanks separate, `#` begins a
 * comment, a backslash takes the next character as it is, double quotes expand variables, single quotes nothing.
 * Conditional blocks (`.if`) count as if all of them held.
 */
export function readConfigLines(text: string): ConfigLine[] {
  const known = new Map<string, string>();
  return text.split('\n').flatMap((line, index): ConfigLine[] => {
    const words = new Words(line, known).read();
    const [first = '.', name, value] = words;
    if (first.startsWith('.')) return [];
    if (first === 'setenv' && name !== undefined && value !== undefined) known.set(name, value);
    return [{ number: index + 1, words, text: line.trim() }];
  });
}

/** Whether a word of a configuration can be the one that is expected. */
export function fits(word: string | undefined, expected: string): boolean {
  if (word === undefined) return false;
  const parts = word.split(ANYTHING);
  if (parts.length === 1) return word === expected;
  const [head = '', ...rest] = parts;
  const tail = rest.at(-1) ?? '';
  return expected.length >= head.length + tail.length && expected.startsWith(head) && expected.endsWith(tail);
}

/** The words of a line as we write them, which has nothing to escape. */
export function wordsOf(line: string): string[] {
  return line.trim().split(/\s+/);
}

class Words {
  readonly #line: string;
  readonly #known: ReadonlyMap<string, string>;
  readonly #words: string[] = [];
  #at = 0;
  #word: string | undefined;

  constructor(line: string, known: ReadonlyMap<string, string>) {
    this.#line = line;
    this.#known = known;
  }

  read(): string[] {
    while (this.#at < this.#line.length) {
      const c = this.#take();
      if (c === '#') break;
      if (c === ' ' || c === '\t' || c === '\r') this.#end();
      else if (c === '\\') this.#add(this.#escaped());
      else if (c === "'") this.#strong();
      else if (c === '"') this.#weak();
      else this.#add(c);
    }
    this.#end();
    return this.#words;
  }

  #strong(): void {
    const end = this.#line.indexOf("'", this.#at);
    const until = end < 0 ? this.#line.length : end;
    this.#add(this.#line.slice(this.#at, until));
    this.#at = until + 1;
  }

  #weak(): void {
    this.#add('');
    for (let c = this.#take(); c !== '' && c !== '"'; c = this.#take()) {
      if (c === '\\') this.#add(this.#escaped());
      else if (c === '$') this.#add(this.#variable());
      else this.#add(c);
    }
  }

  #variable(): string {
    VARIABLE.lastIndex = this.#at - 1;
    const match = VARIABLE.exec(this.#line);
    if (match === null) return '$';
    this.#at = VARIABLE.lastIndex;
    return this.#known.get(match[1] ?? match[2] ?? '') ?? ANYTHING;
  }

  #escaped(): string {
    const [, code] = /^x([0-9a-fA-F]{2})/.exec(this.#line.slice(this.#at, this.#at + 3)) ?? [];
    if (code !== undefined) {
      this.#at += 3;
      return String.fromCharCode(Number.parseInt(code, 16));
    }
    const c = this.#take();
    return ESCAPES[c] ?? c;
  }

  #take(): string {
    const c = this.#line.charAt(this.#at);
    this.#at += 1;
    return c;
  }

  #add(text: string): void {
    this.#word = (this.#word ?? '') + text;
  }

  #end(): void {
    if (this.#word !== undefined) this.#words.push(this.#word);
    this.#word = undefined;
  }
}
