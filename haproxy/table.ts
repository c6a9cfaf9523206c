import { notUnderstood } from './errors.ts';

/** One line of a table, by the names in the table's head: columns come and go from version to version. */
export class Row {
  readonly #values: ReadonlyMap<string, string>;

  constructor(names: readonly string[], values: readonly string[]) {
    this.#values = new Map(names.map((name, i) => [name, values[i] ?? '']));
  }

  /** @throws HoldfastError `HAPROXY_ANSWER_INVALID` when there is no such column */
  text(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) throw notUnderstood('a table', `it has no column ${name}`);
    return value;
  }

  /** 0 where the table has nothing. @throws HoldfastError `HAPROXY_ANSWER_INVALID` */
  number(name: string): number {
    const text = this.text(name);
    const value = Number(text === '-' ? '' : text);
    if (Number.isNaN(value)) throw notUnderstood(`column ${name}`, text);
    return value;
  }
}

/** A head behind a `#`, then lines of words with blanks between. */
export function readTable(answer: string, firstColumn: string): Row[] | undefined {
  const lines = answer.split('\n');
  const head = lines.findIndex((line) => line.startsWith(`# ${firstColumn}`));
  if (head < 0) return undefined;
  const names = lines[head]?.slice(2).trim().split(/ +/) ?? [];
  return lines
    .slice(head + 1)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => new Row(names, line.trim().split(/ +/)));
}

/** The same with commas, and quotes round what has commas itself. */
export function readCommaTable(answer: string, firstColumn: string): Row[] | undefined {
  if (!answer.startsWith(`# ${firstColumn},`)) return undefined;
  const [head = [], ...lines] = commaLines(answer.slice(2));
  return lines.map((values) => new Row(head, values));
}

const FIELD = /(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n|$)/y;

function commaLines(text: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  FIELD.lastIndex = 0;
  while (FIELD.lastIndex < text.length) {
    const match = FIELD.exec(text);
    if (match === null) throw notUnderstood('a table', text);
    const [, quoted, plain = '', end] = match;
    line.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    lines.push(line);
    line = [];
  }
  if (line.length > 0) lines.push(line); // Every line ends with a comma, and the last one has no line end.
  return lines;
}
