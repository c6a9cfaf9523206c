import t from 'tap';
import { parseTransferOptions, type TransferOptions } from '../../../bench/transfer/options.ts';
import { COMMAND, environment, inWords, SCENARIO } from '../../../bench/transfer/scenario.ts';
import { APPROACHES } from '../../../bench/transfer/way.ts';
import { formatLink } from '../../lab/link.ts';

const parsed = (...args: string[]): TransferOptions => {
  const options = parseTransferOptions(args);
  if (options === 'help') throw new Error('help was asked for');
  return options;
};
const links = (options: TransferOptions) => options.links.map(formatLink);

t.test('without options the whole scenario is measured in every way over both links', async (t) => {
  const options = parsed();
  t.same(options.scenario, SCENARIO);
  t.same(links(options), ['100mbit', '1gbit']);
  t.same(options.approaches, APPROACHES);
  t.match(options, { rounds: 3, strategy: 'pre-copy', budgetMs: undefined, json: false });
});

t.test('the quick run is one round of the same over one link', async (t) => {
  const options = parsed('--quick');
  t.same(options.scenario, SCENARIO);
  t.same(links(options), ['1gbit']);
  t.equal(options.rounds, 1);
  t.same(links(parsed('--quick', '--link', '100mbit')), ['100mbit']);
});

t.test('all that it varies in can be chosen', async (t) => {
  const options = parsed(
    ...[
      '--link',
      '1gbit,5ms',
      '--way',
      'holdfast',
      '--strategy',
      'auto',
      '--rounds',
      '7',
      '--budget-min',
      '2',
    ],
    ...['--files', '1000', '--volumes-mib', '10', '--memory-mib', '16', '--json'],
  );
  t.same(options.scenario, { ...SCENARIO, files: 1_000, volumesMib: 10, memoryMib: 16 });
  t.same(links(options), ['1gbit,5ms']);
  t.same(options.approaches, ['holdfast']);
  t.match(options, { rounds: 7, strategy: 'auto', budgetMs: 120_000, json: true });
});

t.test('what makes no sense is refused by name', async (t) => {
  for (const args of [
    ['--files', 'many'],
    ['--files', '3'],
    ['--way', 'by-train'],
    ['--way', ' '],
    ['--strategy', 'post-haste'],
    ['--rounds', '0'],
    ['--lnik', '1gbit'],
  ]) {
    t.throws(() => parseTransferOptions(args), { code: 'USAGE' }, args.join(' '));
  }
  t.throws(() => parseTransferOptions(['--link', 'fast']), { code: 'LAB_BAD_LINK' });
});

t.test('two in a hundred files are rewritten, all of them every two seconds', async (t) => {
  t.equal(environment(SCENARIO).REWRITE_PER_S, '200');
  t.match(inWords(SCENARIO, 250), '20,000 files on 2 volumes, 400 of them written anew every 2 s');
  t.same(COMMAND.slice(-3), ['--import', '/srv/rewrite.mjs', '/srv/server.mjs']);
});
