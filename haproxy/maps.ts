import { HoldfastError } from '../migrator/errors.ts';
import { type Command, commandLine, payload, readNothing } from './command.ts';
import { notUnderstood, refusal } from './errors.ts';

export interface MapInfo {
  readonly id: number;
  /** The file it was loaded from, by which it is named. */
  readonly file: string;
  readonly currentVersion: number;
  readonly nextVersion: number;
  /** In all versions together. */
  readonly entries: number;
}

export interface MapEntry {
  /** Names this one entry, of several with the same key. */
  readonly ref: string;
  readonly key: string;
  readonly value: string;
}

export function showMaps(): Command<MapInfo[]> {
  return { line: commandLine('show', 'map'), repeatable: true, read: readMaps };
}

/** The entries of a map as they are looked up now, or of a version being prepared. */
export function showMap(map: string, version?: number): Command<MapEntry[]> {
  return { line: commandLine('show', 'map', ...at(version), map), repeatable: true, read: readEntries };
}

/** What the key leads to when it is looked up as HAProxy does for a request. */
export function getMap(map: string, key: string): Command<string | undefined> {
  return { line: commandLine('get', 'map', map, key), repeatable: true, read: readLookup };
}

/** Change the value of every entry with that key. @throws HoldfastError `HAPROXY_KEY_UNKNOWN` when there is none */
export function setMap(map: string, key: string, value: string): Command<void> {
  return { line: commandLine('set', 'map', map, key, value), repeatable: true, read: readNothing };
}

/** Add an entry, also beside one with the same key. */
export function addMap(map: string, key: string, value: string): Command<void> {
  return { line: commandLine('add', 'map', map, key, value), repeatable: false, read: readNothing };
}

/** A command and its payload must fit into a buffer of HAProxy 2.6, which has 16 KiB and keeps some of them for itself. */
const MOST_PAYLOAD_BYTES = 8 << 10;

/**
 * Add entries, to a version being prepared or to the current one: as many commands as they take.
 *
 * @throws HoldfastError `HAPROXY_WORD_INVALID` for keys with blanks: the rest of the line is the value
 */
export function addMapEntries(
  map: string,
  entries: Iterable<readonly [key: string, value: string]>,
  version?: number,
): Command<void>[] {
  const line = `${commandLine('add', 'map', ...at(version), map)} <<`;
  const commands: Command<void>[] = [];
  let lines: string[] = [];
  let sizeBytes = 0;
  const flush = () => {
    if (lines.length === 0) return;
    commands.push({ line, payload: payload(lines), repeatable: false, read: readNothing });
    lines = [];
    sizeBytes = 0;
  };
  for (const entry of entries) {
    const text = entryLine(entry);
    const bytes = Buffer.byteLength(text) + 1;
    if (sizeBytes + bytes > MOST_PAYLOAD_BYTES) flush();
    lines.push(text);
    sizeBytes += bytes;
  }
  flush();
  return commands;
}

function entryLine([key, value]: readonly [string, string]): string {
  if (key !== '' && !/\s/.test(key) && value.trim() !== '') return `${key} ${value}`;
  throw new HoldfastError('HAPROXY_WORD_INVALID', `${JSON.stringify(key)} cannot be the key of an entry`, {
    mend: 'take a key without blanks, and a value that is not empty',
  });
}

/** Take away every entry with that key. @throws HoldfastError `HAPROXY_KEY_UNKNOWN` when there is none */
export function deleteMap(map: string, key: string): Command<void> {
  return { line: commandLine('del', 'map', map, key), repeatable: false, read: readNothing };
}

/** A new version of the map, empty, which nobody sees until it is committed. */
export function prepareMap(map: string): Command<number> {
  return { line: commandLine('prepare', 'map', map), repeatable: false, read: readVersion };
}

/** From one request to the next, the prepared version is the map. */
export function commitMap(map: string, version: number): Command<void> {
  return { line: commandLine('commit', 'map', `@${version}`, map), repeatable: false, read: readNothing };
}

function at(version: number | undefined): string[] {
  return version === undefined ? [] : [`@${version}`];
}

function readMaps(answer: string): MapInfo[] {
  const [head, ...lines] = answer.split('\n');
  if (!head?.startsWith('# id (file)')) throw refusal(answer);
  return lines.map((line) => {
    const [, id, file, current, next, entries] =
      /^(-?\d+) \((.*?)\) .*curr_ver=(\d+) next_ver=(\d+) entry_cnt=(\d+)/.exec(line) ?? [];
    if (file === undefined) throw notUnderstood('a line of show map', line);
    return {
      id: Number(id),
      file,
      currentVersion: Number(current),
      nextVersion: Number(next),
      entries: Number(entries),
    };
  });
}

function readEntries(answer: string): MapEntry[] {
  if (answer === '') return [];
  return answer.split('\n').map((line) => {
    const [, ref, key, value = ''] = /^(0x[0-9a-f]+) (\S*)(?: (.*))?$/.exec(line) ?? [];
    if (ref === undefined || key === undefined) throw refusal(answer);
    return { ref, key, value };
  });
}

function readLookup(answer: string): string | undefined {
  if (!answer.startsWith('type=')) throw refusal(answer);
  return /, (?:found|match)=yes.*?, value="(.*)", type="/.exec(answer)?.[1];
}

function readVersion(answer: string): number {
  const [, version] = /^New version created: (\d+)$/.exec(answer) ?? [];
  if (version === undefined) throw refusal(answer);
  return Number(version);
}
