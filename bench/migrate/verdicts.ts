import { AUTO } from '../../migrator/events.ts';
import { parseLink } from '../../test/lab/link.ts';
import { median } from '../statistics.ts';
import { atLeast, atMost, type Verdict } from '../verdict.ts';
import { PLAIN, strategyKeys } from './approach.ts';
import { type Cell, MemoryKind, sameCell } from './cell.ts';
import { cellsOf, type Group, spreadIn } from './groups.ts';
import type { Measurement } from './measurement.ts';

type Measure = (one: Measurement) => number | null | undefined;
const frozen: Measure = (one) => one.frozenMs;
const blackout: Measure = (one) => one.blackoutMs;
const bytes: Measure = (one) => one.bytesSent;

const NEAR_BEST = 1.15;

/** Medians throughout. What was not measured is said so and not passed over. */
export function verdictsOn(groups: readonly Group[]): Verdict[] {
  const of = (approach: string, cell: Cell, measure: Measure): number | null => {
    const group = groups.find((one) => one.approach === approach && sameCell(one.cell, cell));
    return group === undefined ? null : (spreadIn(group, measure)?.median ?? null);
  };
  const against = (approach: string, cell: Cell, measure: Measure) =>
    ratio(of(approach, cell, measure), of(PLAIN, cell, measure));
  const [fast, slow] = [dirty(256, '1gbit'), dirty(256, '100mbit')];
  const [small, large] = [dirty(64, '1gbit'), dirty(1024, '1gbit')];
  const random = { ...fast, kind: MemoryKind.random };
  return [
    atMost('hybrid frozenMs, 1 GiB, 1 Gbit/s', of('hybrid', large, frozen), 250),
    atMost('hybrid frozenMs, 1 GiB, 100 Mbit/s', of('hybrid', dirty(1024, '100mbit'), frozen), 350),
    atLeast(
      'hybrid frozenMs, 64 MiB against 1 GiB, 1 Gbit/s',
      ratio(of('hybrid', small, frozen), of('hybrid', large, frozen)),
      0.6,
    ),
    atMost('pre-copy blackoutMs / plain, 256 MiB, 1 Gbit/s', against('pre-copy', fast, blackout), 0.4),
    atMost('pre-copy blackoutMs / plain, 256 MiB, 100 Mbit/s', against('pre-copy', slow, blackout), 0.1),
    atMost('hybrid blackoutMs / plain, 256 MiB, 1 Gbit/s', against('hybrid', fast, blackout), 0.12),
    atMost('hybrid blackoutMs / plain, 256 MiB, 100 Mbit/s', against('hybrid', slow, blackout), 0.03),
    atMost('failed, lost and doubled requests of all Holdfast moves', faults(groups), 0),
    atMost('pre-copy bytesSent / plain, 256 MiB, 1 Gbit/s', against('pre-copy', fast, bytes), 0.6),
    atMost('pre-copy bytesSent / plain, random memory', against('pre-copy', random, bytes), 1.15),
    atLeast(`cells where auto’s blackout is within 15 % of the best strategy’s`, nearBest(groups), 0.8),
    atMost('median error of predicted frozenMs', predictionError(groups), 0.2),
  ];
}

function dirty(memoryMib: number, link: string): Cell {
  return { memoryMib, dirtyMibPerS: 20, kind: MemoryKind.sessions, link: parseLink(link) };
}

function ratio(one: number | null, other: number | null): number | null {
  return one === null || other === null || other === 0 ? null : one / other;
}

function isHoldfast({ approach }: Group): boolean {
  return approach === AUTO || strategyKeys.includes(approach);
}

function faults(groups: readonly Group[]): number | null {
  const own = groups.filter(isHoldfast).flatMap(({ measurements }) => measurements);
  if (own.length === 0) return null;
  return own.reduce((sum, { failed, lost, duplicated }) => sum + failed + lost + duplicated, 0);
}

/** The share among cells where `auto` and at least one other were measured. */
function nearBest(groups: readonly Group[]): number | null {
  const shares = cellsOf(groups).flatMap((cell) => {
    const here = groups.filter((group) => sameCell(group.cell, cell));
    const auto = here.find(({ approach }) => approach === AUTO);
    const best = Math.min(
      ...here.flatMap((group) => {
        const own = strategyKeys.includes(group.approach) ? spreadIn(group, blackout) : null;
        return own === null ? [] : [own.median];
      }),
    );
    const own = auto === undefined ? null : spreadIn(auto, blackout);
    if (own === null || !Number.isFinite(best)) return [];
    return [own.median <= best * NEAR_BEST ? 1 : 0];
  });
  return shares.length === 0 ? null : shares.reduce((sum: number, one) => sum + one, 0) / shares.length;
}

/** Share of the actual value, over all moves that were predicted. */
function predictionError(groups: readonly Group[]): number | null {
  return median(
    groups.flatMap(({ measurements }) =>
      measurements.flatMap(({ predicted, frozenMs }) =>
        predicted === null || frozenMs === null ? [] : [Math.abs(predicted.frozenMs - frozenMs) / frozenMs],
      ),
    ),
  );
}
