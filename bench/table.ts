import type { Spread } from './statistics.ts';

/** Rows as lines of text: the first columns, of words, to the left, the others, of numbers, to the right. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  wordColumns = 1,
): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    widths
      .map((width, column) => (row[column] ?? '')[column < wordColumns ? 'padEnd' : 'padStart'](width))
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** 1,234 or 12.3: as many digits as anyone wants to read. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const digits = Math.abs(value) < 100 && !Number.isInteger(value) ? 1 : 0;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The median, and in brackets the least and the greatest where they differ. */
export function spreadText(spread: Spread | null): string {
  if (spread === null) return '–';
  const { median, least, greatest } = spread;
  if (least === greatest) return figure(median);
  return `${figure(median)} [${figure(least)}–${figure(greatest)}]`;
}
