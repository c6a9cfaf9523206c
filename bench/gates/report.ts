import type { GateType } from '../../gateway/config/schema.ts';
import { median, spreadOf } from '../statistics.ts';
import { spreadText, table } from '../table.ts';
import { atMost, type Verdict } from '../verdict.ts';

/** HAProxy in front may let users wait so much longer. */
const MOST_LONGER_MS = 30;

/** One move behind one gate, as its users saw it; times in milliseconds. */
export interface Move {
  readonly gate: GateType;
  readonly round: number;
  readonly blackoutMs: number;
  readonly holdMs: number;
  readonly frozenMs: number;
  /** The step that has the gate closed, and what is in flight answered. */
  readonly holdStepMs: number;
  readonly requests: number;
  /** Requests that failed or were lost. */
  readonly faults: number;
}

const TITLES: Readonly<Record<GateType, string>> = { 'built-in': 'built-in', haproxy: 'HAProxy in front' };
const MEASURES = ['blackoutMs', 'holdMs', 'frozenMs', 'holdStepMs'] as const;
type Measure = (typeof MEASURES)[number];

export function gatesTable(moves: readonly Move[]): string {
  const rows = (Object.keys(TITLES) as GateType[]).map((gate) => {
    const own = moves.filter((move) => move.gate === gate);
    const spreads = MEASURES.map((measure) => spreadText(spreadOf(own.map((move) => move[measure]))));
    return [TITLES[gate], `${own.length}`, ...spreads, `${faultsOf(own)}`];
  });
  const differences = MEASURES.map((measure) => differenceOf(moves, measure)?.toFixed(1) ?? '–');
  return table(
    ['', 'moves', ...MEASURES, 'faults'],
    [...rows, ['difference of medians', '', ...differences, '']],
  );
}

/** How much more it is with HAProxy in front, median against median. */
export function differenceOf(moves: readonly Move[], measure: Measure): number | null {
  const [without, behind] = (['built-in', 'haproxy'] as const).map((gate) =>
    median(moves.filter((move) => move.gate === gate).map((move) => move[measure])),
  ) as [number | null, number | null];
  return without === null || behind === null ? null : behind - without;
}

export function verdictsOn(moves: readonly Move[]): Verdict[] {
  return [
    atMost(
      'blackoutMs behind HAProxy less that of the built-in gate, medians',
      differenceOf(moves, 'blackoutMs'),
      MOST_LONGER_MS,
    ),
    atMost('requests that failed or were lost', moves.length === 0 ? null : faultsOf(moves), 0),
  ];
}

function faultsOf(moves: readonly Move[]): number {
  return moves.reduce((sum, { faults }) => sum + faults, 0);
}
