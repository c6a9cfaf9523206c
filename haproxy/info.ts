import { type Command, commandLine } from './command.ts';
import { notUnderstood, refusal } from './errors.ts';

/** One process of HAProxy, as it tells of itself. */
export interface ProcessInfo {
  readonly version: string;
  readonly pid: number;
  readonly uptimeS: number;
  /** It takes no new connections and ends with its last one: a newer process has taken over. */
  readonly isStopping: boolean;
  readonly currentConnections: number;
  readonly maxConnections: number;
  /** All it told, by HAProxy's own names. */
  readonly fields: ReadonlyMap<string, string>;
}

export function showInfo(): Command<ProcessInfo> {
  return { line: commandLine('show', 'info'), repeatable: true, read: readInfo };
}

function readInfo(answer: string): ProcessInfo {
  if (!answer.startsWith('Name:')) throw refusal(answer);
  const fields = new Map(
    answer.split('\n').map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  const number = (name: string): number => {
    const value = Number(fields.get(name) ?? Number.NaN);
    if (Number.isNaN(value)) throw notUnderstood(`${name} of show info`, fields.get(name) ?? '(missing)');
    return value;
  };
  return {
    version: fields.get('Version') ?? '',
    pid: number('Pid'),
    uptimeS: number('Uptime_sec'),
    isStopping: number('Stopping') !== 0,
    currentConnections: number('CurrConns'),
    maxConnections: number('Maxconn'),
    fields,
  };
}
