import t from 'tap';
import { parseDemoOptions } from '../../bench/demo-options.ts';

t.test('without options the demo makes two moves of 64 MiB at 500 requests/s over 1 Gbit/s', async (t) => {
  t.match(parseDemoOptions([]), {
    memoryMib: 64,
    ratePerS: 500,
    clients: 32,
    moves: 2,
    strategy: 'auto',
    verify: false,
    engine: 'runc',
    gate: 'built-in',
    link: { rateBps: 1e9 },
    keep: false,
    json: false,
  });
});

t.test('all that was asked for is taken', async (t) => {
  const args = [
    '--memory-mib',
    '8',
    '--rps',
    '100',
    '--strategy',
    'stop-and-copy',
    '--verify',
    '--moves',
    '30',
    '--engine',
    'docker',
    '--gate',
    'haproxy',
    '--link',
    '1gbit,5ms',
    '--keep',
    '--json',
  ];
  t.match(parseDemoOptions(args), {
    memoryMib: 8,
    ratePerS: 100,
    moves: 30,
    strategy: 'stop-and-copy',
    verify: true,
    engine: 'docker',
    gate: 'haproxy',
    link: { rateBps: 1e9, delayMs: 5 },
    keep: true,
    json: true,
  });
});

t.test('what makes no sense is refused by name', async (t) => {
  for (const args of [
    ['--moves', '0'],
    ['--strategy', 'post-haste'],
    ['--gate', 'garden'],
    ['--rps', 'many'],
    ['--memory-mib', ''],
    ['--mvoes', '3'],
    ['extra'],
  ]) {
    t.throws(() => parseDemoOptions(args), { code: 'USAGE' }, args.join(' '));
  }
  t.throws(() => parseDemoOptions(['--link', 'fast']), { code: 'LAB_BAD_LINK' });
});
