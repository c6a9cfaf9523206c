import { formatLink, type Link } from '../../test/lab/link.ts';
import type { AppOptions } from '../../test/system/configs.ts';

export const MemoryKind = { sessions: 'sessions', random: 'random' } as const;
export type MemoryKind = (typeof MemoryKind)[keyof typeof MemoryKind];

/** What is moved, and over what. */
export interface Cell {
  readonly memoryMib: number;
  readonly dirtyMibPerS: number;
  /** Texts that compress to a third, or random bytes. */
  readonly kind: MemoryKind;
  readonly link: Link;
}

/** A cell, and in which ways its app is moved there in turn. */
export interface Task {
  readonly cell: Cell;
  readonly approaches: readonly string[];
}

export function appOf({ memoryMib, dirtyMibPerS, kind }: Cell): AppOptions {
  return { memoryMib, dirtyMibPerS, memoryKind: kind };
}

/** One for each app there is, fit for a name of a container. */
export function appName({ memoryMib, dirtyMibPerS, kind }: Cell): string {
  return `shop-${memoryMib}-${dirtyMibPerS}-${kind}`;
}

export function cellName(cell: Cell): string {
  const random = cell.kind === MemoryKind.random ? ' of random bytes' : '';
  return `${cell.memoryMib} MiB${random}, ${cell.dirtyMibPerS} MiB/s dirty, ${formatLink(cell.link)}`;
}

/** The same in all that a run varies. */
export function sameCell(one: Cell, other: Cell): boolean {
  return cellName(one) === cellName(other);
}
