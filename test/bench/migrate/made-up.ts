import { type Cell, MemoryKind } from '../../../bench/migrate/cell.ts';
import type { Measurement } from '../../../bench/migrate/measurement.ts';
import { parseLink } from '../../lab/link.ts';

export const cellOf = (memoryMib: number, link: string, kind: MemoryKind = MemoryKind.sessions): Cell => ({
  memoryMib,
  dirtyMibPerS: 20,
  kind,
  link: parseLink(link),
});

/** A measurement without a fault, but for what is given. */
export const measurement = (cell: Cell, approach: string, by: Partial<Measurement> = {}): Measurement => ({
  cell,
  approach,
  round: 1,
  strategy: null,
  frozenMs: null,
  holdMs: null,
  blackoutMs: 100,
  totalMs: 1_000,
  settledMs: 1_100,
  bytesSent: 1 << 20,
  requests: 3_000,
  failed: 0,
  lost: 0,
  duplicated: 0,
  predicted: null,
  ahead: null,
  ...by,
});
