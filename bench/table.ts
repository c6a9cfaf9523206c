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

/** Of an even count the mean of the two in the middle; `null` of none. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2;
}

/** 1,234 or 12.3: as many digits as anyone wants to read. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const digits = Math.abs(value) < 100 && !Number.isInteger(value) ? 1 : 0;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
