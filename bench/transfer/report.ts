import { formatLink, type Link } from '../../test/lab/link.ts';
import { spreadOf } from '../statistics.ts';
import { spreadText, table } from '../table.ts';
import type { Measurement, Run } from './measurement.ts';
import { MIB } from './scenario.ts';
import { WAYS } from './way.ts';

type Column = readonly [string, (one: Measurement) => number | null];

const COLUMNS: readonly Column[] = [
  ['image MiB', ({ bytes }) => bytes.image / MIB],
  ['files MiB', ({ bytes }) => bytes.files / MIB],
  ['memory MiB', ({ bytes }) => (bytes.memory === null ? null : bytes.memory / MIB)],
  ['all MiB', ({ bytes }) => bytes.all / MIB],
  ['totalMs', (one) => one.totalMs],
  ['frozenMs', (one) => one.frozenMs],
  ['engineMs', (one) => one.engineMs],
  ['last pass', (one) => one.lastPassMs],
  ['holdMs', (one) => one.holdMs],
  ['blackoutMs', (one) => one.blackoutMs],
  ['failed', (one) => one.failed],
  ['lost', (one) => one.lost],
];

/** A table for each link: a row for each way, medians, and in brackets the least and the greatest. */
export function linkTables(run: Run, links: readonly Link[]): string {
  return links.map((link) => `${formatLink(link)}\n${linkTable(run, link)}`).join('\n\n');
}

function linkTable(run: Run, link: Link): string {
  const here = <T extends { readonly link: Link }>(all: readonly T[]) =>
    all.filter((one) => formatLink(one.link) === formatLink(link));
  const measurements = here(run.measurements);
  const rows = WAYS.flatMap(({ way, title }) => {
    const own = measurements.filter((one) => one.way === way);
    if (own.length === 0) return [];
    const spreads = COLUMNS.map(([, of]) => spreadText(spreadOf(own.map(of))));
    return [[title, String(own.length), ...spreads]];
  });
  const notes = here(run.failures).map(
    ({ approach, round, reason }) => `${approach}, round ${round}: ${reason}`,
  );
  const header = ['', 'n', ...COLUMNS.map(([name]) => name)];
  return [...(rows.length > 0 ? [table(header, rows)] : []), ...notes].join('\n');
}
