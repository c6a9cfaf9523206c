import { type Figures as MoveFigures, Outcome } from '../migrator/events.ts';
import type { EndedEvent } from '../test/system/admin.ts';
import type { LoadReport, WindowReport } from '../test/workload/report.ts';
import { median } from './statistics.ts';
import { figure, table } from './table.ts';

export interface Move {
  readonly from: string;
  readonly to: string;
  readonly ended: EndedEvent;
}

/** `null` where a move did not come so far. */
export interface DemoFigures extends WindowReport {
  readonly frozenMs: number | null;
  readonly holdMs: number | null;
  readonly totalMs: number | null;
  readonly bytesSent: number | null;
}

/**
 * Counts and bytes of the total are sums over the whole run, its percentiles are over all requests, and its times
 * (frozenMs, holdMs, blackoutMs, totalMs) are the medians over the moves.
 */
export interface DemoReport {
  readonly moves: readonly DemoFigures[];
  readonly total: DemoFigures & Pick<LoadReport['total'], 'chain' | 'corrupted'>;
}

export function demoReport(moves: readonly Move[], load: LoadReport): DemoReport {
  const each = moves.flatMap(({ ended }, n) => {
    const window = load.windows[n];
    return window === undefined ? [] : [{ ...window, ...times(ended.figures) }];
  });
  const medianOf = (name: 'frozenMs' | 'holdMs' | 'blackoutMs' | 'totalMs') =>
    median(each.map((one) => one[name]).filter((value) => value !== null));
  return {
    moves: each,
    total: {
      ...load.total,
      frozenMs: medianOf('frozenMs'),
      holdMs: medianOf('holdMs'),
      blackoutMs: medianOf('blackoutMs') ?? load.total.blackoutMs,
      totalMs: medianOf('totalMs'),
      bytesSent: each.reduce((sum, one) => sum + (one.bytesSent ?? 0), 0),
    },
  };
}

function times(figures: MoveFigures) {
  const ms = (value: number | undefined) => (value === undefined ? null : Math.round(value * 100) / 100);
  return {
    frozenMs: ms(figures.frozenMs),
    holdMs: ms(figures.holdMs),
    totalMs: ms(figures.totalMs),
    bytesSent: figures.bytesSent ?? null,
  };
}

export function demoTable(moves: readonly Move[], report: DemoReport): string {
  const cells = (name: string, one: DemoFigures) => [
    name,
    ...[one.requests, one.failed, one.lost, one.duplicated],
    ...[one.p50, one.p99, one['p99.9'], one.max],
    ...[one.frozenMs, one.holdMs, one.blackoutMs, one.totalMs, one.bytesSent],
  ];
  const header = [
    ...['', 'requests', 'failed', 'lost', 'duplicated', 'p50', 'p99', 'p99.9', 'max'],
    ...['frozenMs', 'holdMs', 'blackoutMs', 'totalMs', 'bytesSent'],
  ];
  const rows = [
    ...report.moves.map((one, n) => cells(`${n + 1}: ${moves[n]?.from} → ${moves[n]?.to}`, one)),
    cells('total', report.total),
  ];
  return table(
    header,
    rows.map((row) => row.map((cell) => (typeof cell === 'string' ? cell : figure(cell)))),
  );
}

/** What it comes to, in a line, and whether it is what was promised. */
export function demoVerdict(moves: readonly Move[], { total }: DemoReport): { good: boolean; line: string } {
  const undone = moves.filter(({ ended }) => ended.outcome !== Outcome.succeeded).length;
  const good =
    undone === 0 &&
    total.failed + total.lost + total.duplicated + total.corrupted === 0 &&
    total.chain === 'unbroken';
  if (good) {
    const longest = figure(Math.round(total.max));
    return {
      good,
      line: `All ${figure(total.requests)} requests were answered, once each and in one unbroken chain; the longest wait was ${longest} ms.`,
    };
  }
  return {
    good,
    line:
      `NOT GOOD: of ${figure(total.requests)} requests ${figure(total.failed)} failed, ${figure(total.lost)} were lost, ` +
      `${figure(total.duplicated)} doubled, ${figure(total.corrupted)} garbled; the chain is ${total.chain}; ` +
      `${undone} of ${moves.length} moves did not come about.`,
  };
}
