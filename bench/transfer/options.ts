import { parseArgs } from 'node:util';
import { HoldfastError } from '../../migrator/errors.ts';
import { STRATEGY_ORDERS, Strategy, type StrategyOrder } from '../../migrator/events.ts';
import { type Link, parseLink } from '../../test/lab/link.ts';
import { oneOf, usage, wholeNumber } from '../demo-options.ts';
import { SCENARIO, type Scenario } from './scenario.ts';
import { APPROACHES, type Approach } from './way.ts';

export interface TransferOptions {
  readonly scenario: Scenario;
  readonly links: readonly Link[];
  readonly approaches: readonly Approach[];
  readonly strategy: StrategyOrder;
  readonly rounds: number;
  /** Absent: as long as it takes. */
  readonly budgetMs?: number;
  readonly json: boolean;
}

const LINKS = '100mbit 1gbit';
const QUICK_LINKS = '1gbit';
const ROUNDS = '3';
const QUICK_ROUNDS = '1';

export const HELP = `npm run bench:transfer -- [options]

  --quick               one round over ${QUICK_LINKS}: a few minutes
  --link "LINK …"       100mbit, 1gbit,5ms … ("${LINKS}")
  --way "W …"           ${APPROACHES.join(', ')} (all)
  --strategy S          how Holdfast moves memory (${Strategy.preCopy})
  --rounds N            measurements of each at most (${ROUNDS})
  --budget-min N        begin nothing that would not end within so many minutes
  --files N             on the volumes (${SCENARIO.files})
  --volumes-mib N       in them (${SCENARIO.volumesMib})
  --memory-mib N        sessions the app keeps in memory (${SCENARIO.memoryMib})
  --json                standard output is one object of JSON; progress goes to standard error

A choice has spaces between what is chosen. The image has ${SCENARIO.imageMib} MiB.
`;

/** @throws HoldfastError `USAGE`, `LAB_BAD_LINK` */
export function parseTransferOptions(args: readonly string[]): TransferOptions | 'help' {
  const { values } = usage(() =>
    parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        link: { type: 'string' },
        way: { type: 'string', default: APPROACHES.join(' ') },
        strategy: { type: 'string', default: Strategy.preCopy },
        rounds: { type: 'string' },
        'budget-min': { type: 'string' },
        files: { type: 'string', default: String(SCENARIO.files) },
        'volumes-mib': { type: 'string', default: String(SCENARIO.volumesMib) },
        'memory-mib': { type: 'string', default: String(SCENARIO.memoryMib) },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  );
  if (values.help) return 'help';
  const { quick } = values;
  const budget = values['budget-min'];
  return {
    scenario: {
      ...SCENARIO,
      // Fifty to a directory, and every fiftieth is written anew: fewer would be another matter.
      files: wholeNumber('--files', values.files, 100, 1_000_000),
      volumesMib: wholeNumber('--volumes-mib', values['volumes-mib'], 1, 100_000),
      memoryMib: wholeNumber('--memory-mib', values['memory-mib'], 0, 65_536),
    },
    links: words(values.link ?? (quick ? QUICK_LINKS : LINKS)).map(parseLink),
    approaches: words(values.way).map((word) => oneOf('--way', word, APPROACHES)),
    strategy: oneOf('--strategy', values.strategy, STRATEGY_ORDERS),
    rounds: wholeNumber('--rounds', values.rounds ?? (quick ? QUICK_ROUNDS : ROUNDS), 1, 1_000),
    ...(budget === undefined ? {} : { budgetMs: wholeNumber('--budget-min', budget, 1, 10_000) * 60_000 }),
    json: values.json,
  };
}

function words(text: string): string[] {
  const found = [...new Set(text.split(/\s+/).filter(Boolean))];
  if (found.length === 0) throw new HoldfastError('USAGE', 'a choice is empty', { mend: 'see --help' });
  return found;
}
