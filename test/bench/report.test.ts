import t from 'tap';
import { demoReport, demoTable, demoVerdict, type Move } from '../../bench/demo-report.ts';
import { median, spreadOf } from '../../bench/statistics.ts';
import { figure, spreadText, table } from '../../bench/table.ts';
import { Outcome } from '../../migrator/events.ts';
import type { LoadReport, WindowReport } from '../workload/report.ts';

const seen = (by: Partial<WindowReport> = {}): WindowReport => ({
  requests: 1_000,
  failed: 0,
  lost: 0,
  duplicated: 0,
  p50: 2,
  p99: 300,
  'p99.9': 320,
  max: 330.5,
  blackoutMs: 310,
  ...by,
});

const load = (total: Partial<LoadReport['total']> = {}): LoadReport => ({
  windows: [seen(), seen({ blackoutMs: 210 })],
  total: { ...seen({ requests: 4_321 }), corrupted: 0, chain: 'unbroken', ...total },
  faults: [],
  reasons: {},
});

const move = (frozenMs: number, outcome: Outcome = Outcome.succeeded): Move => ({
  from: 'a',
  to: 'b',
  ended: {
    type: 'ended',
    migrationId: 'm',
    app: 'shop',
    at: '',
    elapsedMs: 0,
    outcome,
    figures: { frozenMs, holdMs: frozenMs + 20, totalMs: 900, bytesSent: 1_000_000 },
  },
});

const NAMES = [
  ...['requests', 'failed', 'lost', 'duplicated', 'p50', 'p99', 'p99.9', 'max'],
  ...['frozenMs', 'holdMs', 'blackoutMs', 'totalMs', 'bytesSent'],
];

t.test('each move and the total have all the names', async (t) => {
  const report = demoReport([move(200), move(300)], load());
  for (const one of [...report.moves, report.total]) t.hasProps(one, NAMES);
  t.equal(report.moves.length, 2);
  t.match(report.moves[0], { frozenMs: 200, holdMs: 220, blackoutMs: 310 });
});

t.test('the total sums bytes and takes the medians of times', async (t) => {
  const { total } = demoReport([move(200), move(300)], load());
  t.match(total, { requests: 4_321, frozenMs: 250, holdMs: 270, blackoutMs: 260, bytesSent: 2_000_000 });
  t.equal(total.chain, 'unbroken');
});

t.test('the verdict is good only when nothing at all went wrong', async (t) => {
  const moves = [move(200), move(300)];
  t.ok(demoVerdict(moves, demoReport(moves, load())).good);
  for (const wrong of [
    { failed: 1 },
    { lost: 1 },
    { duplicated: 1 },
    { corrupted: 1 },
    { chain: 'broken' },
  ]) {
    const report = demoReport(moves, load(wrong as Partial<LoadReport['total']>));
    t.notOk(demoVerdict(moves, report).good, JSON.stringify(wrong));
  }
  const undone = [move(200), move(0, Outcome.rolledBack)];
  t.notOk(demoVerdict(undone, demoReport(undone, load())).good, 'a move that was rolled back');
});

t.test('a move that never froze shows dashes', async (t) => {
  const refused: Move = { ...move(0), ended: { ...move(0).ended, figures: { totalMs: 5 } } };
  const report = demoReport([refused], load());
  t.equal(report.moves[0]?.frozenMs, null);
  t.match(demoTable([refused], report), /1: a → b .* – .* – /);
});

t.test('tables line up, and figures are short', async (t) => {
  const lines = table(
    ['', 'ms'],
    [
      ['one', '1'],
      ['three', '1,234'],
    ],
  ).split('\n');
  t.same(lines, ['          ms', '─────  ─────', 'one        1', 'three  1,234']);
  t.same([1234.56, 12.34, 7, null].map(figure), ['1,235', '12.3', '7', '–']);
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.equal(median([]), null);
});

t.test('a spread is of what is known, and is told with its ends where they differ', async (t) => {
  t.same(spreadOf([3, null, 1, undefined, 2]), { median: 2, least: 1, greatest: 3 });
  t.equal(spreadOf([null]), null);
  t.equal(spreadText(spreadOf([3, 1, 2])), '2 [1–3]');
  t.equal(spreadText(spreadOf([7])), '7');
  t.equal(spreadText(null), '–');
});
