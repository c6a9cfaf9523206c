import t from 'tap';
import { parseGatesOptions } from '../../../bench/gates/options.ts';
import { differenceOf, gatesTable, type Move, verdictsOn } from '../../../bench/gates/report.ts';
import { Finding } from '../../../bench/verdict.ts';

const move = (gate: Move['gate'], blackoutMs: number, by: Partial<Move> = {}): Move => ({
  gate,
  round: 1,
  blackoutMs,
  holdMs: blackoutMs - 5,
  frozenMs: blackoutMs - 50,
  holdStepMs: gate === 'haproxy' ? 20 : 3,
  requests: 1_000,
  faults: 0,
  ...by,
});
const findings = (moves: readonly Move[]) => verdictsOn(moves).map(({ finding }) => finding);

t.test('what HAProxy adds is the difference of the medians', async (t) => {
  const moves = [
    ...[400, 410, 900].map((ms) => move('built-in', ms)),
    ...[415, 430, 440].map((ms) => move('haproxy', ms)),
  ];
  t.equal(differenceOf(moves, 'blackoutMs'), 20);
  t.same(findings(moves), [Finding.met, Finding.met]);
  t.match(gatesTable(moves).split('\n'), [
    /blackoutMs/,
    /─/,
    /^built-in +3 +410 \[400–900\] .* 0$/,
    /^HAProxy in front +3 +430 \[415–440\] .* 0$/,
    /^difference of medians +20\.0 +20\.0 +20\.0 +17\.0$/,
  ]);
});

t.test('31 ms more are too many, and so is one request that failed', async (t) => {
  t.same(findings([move('built-in', 400), move('haproxy', 431)]), [Finding.notMet, Finding.met]);
  t.same(findings([move('built-in', 400, { faults: 1 }), move('haproxy', 400)]), [
    Finding.met,
    Finding.notMet,
  ]);
});

t.test('one gate alone says nothing of a difference', async (t) => {
  t.same(findings([move('haproxy', 400)]), [Finding.notMeasured, Finding.met]);
  t.same(findings([]), [Finding.notMeasured, Finding.notMeasured]);
});

t.test('what makes no sense is refused by name', async (t) => {
  t.match(parseGatesOptions([]), { rounds: 5, strategy: 'pre-copy', memoryMib: 64, ratePerS: 500 });
  for (const args of [['--rounds', '0'], ['--strategy', 'magic'], ['--rps', 'x'], ['--rond']]) {
    t.throws(() => parseGatesOptions(args), { code: 'USAGE' }, args.join(' '));
  }
});
