import { parseArgs } from 'node:util';
import { STRATEGY_ORDERS, type StrategyOrder } from '../../migrator/events.ts';
import { oneOf, usage, wholeNumber } from '../demo-options.ts';

export interface GatesOptions {
  readonly rounds: number;
  readonly memoryMib: number;
  readonly ratePerS: number;
  readonly strategy: StrategyOrder;
  readonly json: boolean;
}

export const HELP = `npm run bench:gates -- [options]

  --rounds N        in each either gate moves its app twice: one, the other, the other, the one (5)
  --strategy S      auto, or one of those that gateway plan lists (pre-copy)
  --memory-mib N    sessions each app keeps in memory (64)
  --rps N           requests a second for the app that moves, whatever the answers do (500)
  --json            standard output is one object of JSON; progress goes to standard error
`;

/** @throws HoldfastError `USAGE` */
export function parseGatesOptions(args: readonly string[]): GatesOptions | 'help' {
  const { values } = usage(() =>
    parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '5' },
        strategy: { type: 'string', default: 'pre-copy' },
        'memory-mib': { type: 'string', default: '64' },
        rps: { type: 'string', default: '500' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  );
  if (values.help) return 'help';
  return {
    rounds: wholeNumber('--rounds', values.rounds, 1, 1_000),
    strategy: oneOf('--strategy', values.strategy, STRATEGY_ORDERS),
    memoryMib: wholeNumber('--memory-mib', values['memory-mib'], 0, 65_536),
    ratePerS: wholeNumber('--rps', values.rps, 1, 20_000),
    json: values.json,
  };
}
