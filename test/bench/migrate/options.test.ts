import t from 'tap';
import { approaches, strategyKeys } from '../../../bench/migrate/approach.ts';
import { cellName } from '../../../bench/migrate/cell.ts';
import { type BenchOptions, parseBenchOptions } from '../../../bench/migrate/options.ts';

const parsed = (...args: string[]): BenchOptions => {
  const options = parseBenchOptions(args);
  if (options === 'help') throw new Error('help was asked for');
  return options;
};
const cells = (options: BenchOptions) => options.tasks.map(({ cell }) => cellName(cell));

t.test('without options every cell is measured in every way', async (t) => {
  const options = parsed();
  t.equal(options.tasks.length, 3 * 3 * 2 * 3);
  t.equal(new Set(cells(options)).size, options.tasks.length);
  for (const task of options.tasks) {
    t.same(
      task.approaches,
      approaches.map(({ key }) => key),
    );
  }
  t.match(options, { rounds: 3, budgetMs: undefined, gate: 'built-in', svg: undefined, json: false });
});

t.test('every strategy of the product is among the approaches, and so is the choice of one', async (t) => {
  const keys = approaches.map(({ key }) => key);
  for (const key of [...strategyKeys, 'auto', 'runc', 'podman', 'podman-pre']) t.ok(keys.includes(key), key);
});

t.test('cells can be chosen by each of what they vary in', async (t) => {
  const options = parsed(
    ...['--memory-mib', '64 8', '--dirty', '5', '--link', '1gbit 100mbit,20ms', '--memory-kind', 'random'],
    ...[
      '--strategy',
      'runc pre-copy',
      '--rounds',
      '7',
      '--budget-min',
      '2',
      '--svg',
      'out.svg',
      '--json',
      '--gate',
      'haproxy',
    ],
  );
  t.same(cells(options), [
    '64 MiB of random bytes, 5 MiB/s dirty, 1gbit',
    '8 MiB of random bytes, 5 MiB/s dirty, 1gbit',
    '64 MiB of random bytes, 5 MiB/s dirty, 100mbit,20ms',
    '8 MiB of random bytes, 5 MiB/s dirty, 100mbit,20ms',
  ]);
  for (const task of options.tasks) t.same(task.approaches, ['runc', 'pre-copy']);
  t.match(options, { rounds: 7, budgetMs: 120_000, svg: 'out.svg', json: true, gate: 'haproxy' });
});

t.test('the quick run has ten minutes and the cells that promises are made for', async (t) => {
  const options = parsed('--quick');
  t.equal(options.budgetMs, 600_000);
  const [first] = options.tasks;
  t.equal(first === undefined ? '' : cellName(first.cell), '256 MiB, 20 MiB/s dirty, 1gbit');
  t.ok(first?.approaches.includes('runc'), 'against the plain way');
  const keys = new Set(approaches.map(({ key }) => key));
  for (const task of options.tasks) t.ok(task.approaches.every((key) => keys.has(key)));
});

t.test('what makes no sense is refused by name', async (t) => {
  for (const args of [
    ['--quick', '--dirty', '20'],
    ['--memory-mib', 'much'],
    ['--memory-mib', ' '],
    ['--strategy', 'post-haste'],
    ['--memory-kind', 'velvet'],
    ['--gate', 'garden'],
    ['--rounds', '0'],
    ['--budget-min', '0'],
    ['--rnuds', '3'],
  ]) {
    t.throws(() => parseBenchOptions(args), { code: 'USAGE' }, args.join(' '));
  }
  t.throws(() => parseBenchOptions(['--link', 'fast']), { code: 'LAB_BAD_LINK' });
});
