import { spreadText, table } from '../table.ts';
import { approaches } from './approach.ts';
import { type Cell, cellName, sameCell } from './cell.ts';
import { cellsOf, type Group, groupsOf, spreadIn } from './groups.ts';
import type { Measurement, Run } from './measurement.ts';

const MIB = 1 << 20;

type Column = readonly [string, (one: Measurement) => number | null | undefined];

const COLUMNS: readonly Column[] = [
  ['frozenMs', (one) => one.frozenMs],
  ['predicted', (one) => one.predicted?.frozenMs],
  ['holdMs', (one) => one.holdMs],
  ['blackoutMs', (one) => one.blackoutMs],
  ['totalMs', (one) => one.totalMs],
  ['settledMs', (one) => one.settledMs],
  ['MiB sent', (one) => one.bytesSent / MIB],
  ['failed', (one) => one.failed],
  ['lost', (one) => one.lost],
];

const AHEAD_COLUMNS: readonly Column[] = [
  ['rounds ms', (one) => one.ahead?.durationMs],
  ['p99 before', (one) => one.ahead?.p99BeforeMs],
  ['p99 meanwhile', (one) => one.ahead?.p99Ms],
  ['added p99', (one) => (one.ahead === null ? null : one.ahead.p99Ms - one.ahead.p99BeforeMs)],
  ['agent cores', (one) => one.ahead?.agentCores],
];

/** A table for each cell: a row for each approach, medians, and in brackets the least and the greatest. */
export function cellTables(run: Run): string {
  const groups = groupsOf(run.measurements);
  const cells = cellsOf([...run.measurements, ...run.failures]);
  return cells.map((cell) => `${cellName(cell)}\n${cellTable(cell, groups, run)}`).join('\n\n');
}

function cellTable(cell: Cell, groups: readonly Group[], run: Run): string {
  const rows = approaches.flatMap(({ key, title }) => {
    const reason = run.unavailable[key];
    if (reason !== undefined) return [[title, '0', reason]];
    const group = groups.find((one) => one.approach === key && sameCell(one.cell, cell));
    const failures = run.failures.filter((one) => one.approach === key && sameCell(one.cell, cell));
    const failed = failures.length === 0 ? [] : [`not measured ${failures.length} times`];
    if (group === undefined) return failures.length === 0 ? [] : [[title, '0', ...failed]];
    const spreads = COLUMNS.map(([, of]) => spreadText(spreadIn(group, of)));
    return [[`${title}${chosenBy(group)}`, String(group.measurements.length), ...spreads, ...failed]];
  });
  // What is said in place of figures must not widen a column of figures.
  const notes = rows.filter((row) => row.length === 3).map(([title, , note]) => `${title}: ${note}`);
  const full = rows.filter((row) => row.length > 3);
  const header = ['', 'n', ...COLUMNS.map(([name]) => name)];
  return [...(full.length > 0 ? [table(header, full)] : []), ...notes].join('\n');
}

/** What `auto` took. */
function chosenBy({ approach, measurements }: Group): string {
  const taken = [...new Set(measurements.map(({ strategy }) => strategy))].filter(
    (strategy) => strategy !== null && strategy !== approach,
  );
  return taken.length === 0 ? '' : ` → ${taken.join(', ')}`;
}

/** What sending memory ahead costs the app while it runs; empty when nothing was sent ahead. */
export function aheadTable(run: Run): string {
  const titles = new Map(approaches.map(({ key, title }) => [key, title]));
  const rows = groupsOf(run.measurements)
    .filter(({ measurements }) => measurements.some(({ ahead }) => ahead !== null))
    .map((group) => [
      cellName(group.cell),
      titles.get(group.approach) ?? group.approach,
      ...AHEAD_COLUMNS.map(([, of]) => spreadText(spreadIn(group, of))),
    ]);
  if (rows.length === 0) return '';
  return table(['', '', ...AHEAD_COLUMNS.map(([name]) => name)], rows, 2);
}
