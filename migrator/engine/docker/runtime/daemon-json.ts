import { readFile, stat } from 'node:fs/promises';
import { HoldfastError } from '../../../errors.ts';

/** Docker's daemon.json as it is on the disk. */
export interface DaemonJson {
  readonly text: string;
  readonly mode: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** `undefined` when there is none. @throws `DAEMON_JSON_INVALID` */
export async function readDaemonJson(file: string): Promise<DaemonJson | undefined> {
  try {
    const [text, { mode }] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    const json: unknown = text.trim() === '' ? {} : JSON.parse(text);
    if (!isRecord(json)) throw new Error('it is no JSON object');
    return { text, mode: mode & 0o777, json };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HoldfastError(
      'DAEMON_JSON_INVALID',
      `${file} cannot be understood: ${(cause as Error).message}`,
      {
        mend: 'correct it: Docker itself would not start with it',
        cause,
      },
    );
  }
}

/** Its text with the runtime in it, or `undefined` when it is there already. @throws `RUNTIME_NAME_TAKEN` */
export function withRuntime(
  before: DaemonJson | undefined,
  name: string,
  path: string,
  file: string,
): string | undefined {
  const json = before?.json ?? {};
  const runtimes = isRecord(json.runtimes) ? json.runtimes : {};
  const there = runtimes[name];
  if (isRecord(there) && there.path === path) return undefined;
  if (there !== undefined) {
    throw new HoldfastError('RUNTIME_NAME_TAKEN', `${file} has another runtime of the name ${name}`, {
      mend: `see what it is for, and take it out of "runtimes" in ${file}`,
    });
  }
  return textOf({ ...json, runtimes: { ...runtimes, [name]: { path } } }, before?.text);
}

export interface Removal {
  /** For Docker to read: of runtimes that are not mentioned at all it keeps what it has. */
  readonly toLoad: string;
  /** To stay: where the list was ours alone it goes, too. */
  readonly toStay: string;
}

/** Its texts without the runtime, or `undefined` when it has none. */
export function withoutRuntime(before: DaemonJson, name: string): Removal | undefined {
  const { runtimes, ...others } = before.json;
  if (!isRecord(runtimes) || runtimes[name] === undefined) return undefined;
  const { [name]: _, ...rest } = runtimes;
  const toLoad = textOf({ ...before.json, runtimes: rest }, before.text);
  return { toLoad, toStay: Object.keys(rest).length === 0 ? textOf(others, before.text) : toLoad };
}

/** Indented as its author does. */
function textOf(json: unknown, like: string | undefined): string {
  const indent = /^\s*\{\s*?\n([ \t]+)/.exec(like ?? '')?.[1] ?? '  ';
  return `${JSON.stringify(json, null, indent)}\n`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
