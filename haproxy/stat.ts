import { type Command, commandLine } from './command.ts';
import { refusal } from './errors.ts';
import { type Row, readCommaTable } from './table.ts';

export const StatKind = {
  frontend: 'frontend',
  backend: 'backend',
  server: 'server',
  listener: 'listener',
} as const;
export type StatKind = (typeof StatKind)[keyof typeof StatKind];

/** As HAProxy numbers them in the column `type`. */
const KINDS: readonly StatKind[] = [StatKind.frontend, StatKind.backend, StatKind.server, StatKind.listener];
/** As they are asked for: a sum of these. */
const BITS: Readonly<Record<StatKind, number>> = { frontend: 1, backend: 2, server: 4, listener: 8 };

export interface Stat {
  readonly proxy: string;
  /** The server's or listener's name; `FRONTEND`, `BACKEND` for a proxy as a whole. */
  readonly name: string;
  readonly kind: StatKind;
  /** `OPEN`, `UP`, `UP 1/3`, `DOWN`, `MAINT`, `DRAIN`, `no check`, … */
  readonly status: string;
  /** In HTTP mode, requests under way. */
  readonly currentSessions: number;
  /** Since the start; in HTTP mode, requests. */
  readonly totalSessions: number;
  /** Waiting for a place at a server. */
  readonly queued: number;
  /** What the last health check found, `L7OK` for instance; empty without checks, `* ` before one under way. */
  readonly checkStatus: string;
  /** A check that passed last raises it to `checkRise + checkFall - 1`. */
  readonly checkHealth: number;
  readonly checkRise: number;
  readonly checkFall: number;
  /** Everything else HAProxy counts, by its own names. */
  readonly row: Row;
}

/**
 * @param wanted of one proxy by its name, of some kinds only; otherwise everything there is
 */
export function showStat(
  wanted: { readonly proxy?: string; readonly kinds?: readonly StatKind[] } = {},
): Command<Stat[]> {
  const { proxy, kinds = KINDS } = wanted;
  const bits = kinds.reduce((sum, kind) => sum | BITS[kind], 0);
  const isAll = proxy === undefined && kinds === KINDS;
  const filter = isAll ? [] : [proxy ?? '-1', `${bits}`, '-1'];
  return { line: commandLine('show', 'stat', ...filter), repeatable: true, read: readStat };
}

function readStat(answer: string): Stat[] {
  const rows = readCommaTable(answer, 'pxname');
  if (rows === undefined) throw refusal(answer);
  return rows.map((row) => ({
    proxy: row.text('pxname'),
    name: row.text('svname'),
    kind: KINDS[row.number('type')] ?? StatKind.listener,
    status: row.text('status'),
    currentSessions: row.number('scur'),
    totalSessions: row.number('stot'),
    queued: row.number('qcur'),
    checkStatus: row.text('check_status'),
    checkHealth: row.number('check_health'),
    checkRise: row.number('check_rise'),
    checkFall: row.number('check_fall'),
    row,
  }));
}
