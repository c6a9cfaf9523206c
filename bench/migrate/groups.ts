import { type Spread, spreadOf } from '../statistics.ts';
import { type Cell, sameCell } from './cell.ts';
import type { Measurement } from './measurement.ts';

/** All measurements of one approach in one cell. */
export interface Group {
  readonly cell: Cell;
  readonly approach: string;
  readonly measurements: readonly Measurement[];
}

/** In the order in which they first came. */
export function groupsOf(measurements: readonly Measurement[]): Group[] {
  const groups: { cell: Cell; approach: string; measurements: Measurement[] }[] = [];
  for (const one of measurements) {
    const group = groups.find(({ cell, approach }) => approach === one.approach && sameCell(cell, one.cell));
    if (group === undefined) groups.push({ cell: one.cell, approach: one.approach, measurements: [one] });
    else group.measurements.push(one);
  }
  return groups;
}

export function cellsOf(groups: readonly { readonly cell: Cell }[]): Cell[] {
  const cells: Cell[] = [];
  for (const { cell } of groups) if (!cells.some((other) => sameCell(cell, other))) cells.push(cell);
  return cells;
}

export function spreadIn(
  { measurements }: Group,
  of: (one: Measurement) => number | null | undefined,
): Spread | null {
  return spreadOf(measurements.map(of));
}
