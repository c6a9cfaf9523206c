import { readFile } from 'node:fs/promises';
import type { Static, TSchema } from '@sinclair/typebox';
import { Ajv, type ErrorObject } from 'ajv';
import { type Document, isMap, LineCounter, parseDocument } from 'yaml';
import { HoldfastError } from './errors.ts';

/**
 * Read a YAML configuration file and hold it against its schema.
 *
 * @throws HoldfastError `CONFIG_UNREADABLE`, `CONFIG_INVALID`: every fault on a line of its own, `file:line: what`.
 */
export async function readConfigFile<T extends TSchema>(schema: T, file: string): Promise<Static<T>> {
  return parseConfig(schema, await readConfigText(file), file);
}

/** @throws HoldfastError `CONFIG_UNREADABLE` */
export async function readConfigText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new HoldfastError('CONFIG_UNREADABLE', `${file} cannot be read`, {
      mend: 'name an existing file with -c',
      cause,
    });
  }
}

export function parseConfig<T extends TSchema>(schema: T, text: string, file: string): Static<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const broken = document.errors[0];
  if (broken) {
    throw invalid([`${file}:${lines.linePos(broken.pos[0]).line}: ${broken.message.split('\n')[0]}`]);
  }
  const value: unknown = document.toJS() ?? {};
  const validate = new Ajv({ allErrors: true, useDefaults: true, strict: false }).compile(schema);
  if (validate(value)) return value as Static<T>;
  const faults = (validate.errors ?? []).filter((error) => error.keyword !== 'if');
  throw invalid(faults.map((error) => `${file}:${lineOf(document, lines, error)}: ${describe(error)}`));
}

function invalid(faults: string[]): HoldfastError {
  return new HoldfastError('CONFIG_INVALID', [...new Set(faults)].join('\n'));
}

function pathOf(error: ErrorObject): string[] {
  return error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function lineOf(document: Document, lines: LineCounter, error: ErrorObject): number {
  const path = pathOf(error);
  const extra: unknown = error.params.additionalProperty;
  if (typeof extra === 'string') path.push(extra);
  for (; path.length > 0; path.pop()) {
    const parent = document.getIn(path.slice(0, -1), true);
    const last = path.at(-1);
    const pair = isMap(parent) ? parent.items.find((item) => String(item.key) === last) : undefined;
    const node = (pair?.key ?? document.getIn(path, true)) as
      | { range?: [number, number, number] }
      | undefined;
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function describe(error: ErrorObject): string {
  const where = pathOf(error).join('.');
  if (error.keyword === 'additionalProperties') {
    return `unknown key ${JSON.stringify(error.params.additionalProperty)}${where ? ` in ${where}` : ''}`;
  }
  const what =
    error.keyword === 'enum' ? `must be one of ${error.params.allowedValues.join(', ')}` : error.message;
  return where ? `${where} ${what}` : `${what}`;
}
