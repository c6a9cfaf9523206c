import { parseArgs } from 'node:util';
import { oneOf, usage, wholeNumber } from '../demo-options.ts';
import { proxies } from './proxies.ts';

export interface SteadyOptions {
  readonly proxies: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  /** Absent: as long as it takes. */
  readonly budgetMs?: number;
  readonly json: boolean;
}

const keys = proxies.map(({ key }) => key);
const USUAL = { rounds: '20', seconds: '2' };
const QUICK = { rounds: '2', seconds: '1' };

export const HELP = `npm run bench:steady -- [options]

  --proxies LIST      ${keys.join(', ')}, separated by spaces (all)
  --rounds N          in each all are measured in turn, then in turn backwards (${USUAL.rounds})
  --seconds N         of each measurement (${USUAL.seconds})
  --connections N     kept alive, each with one request at a time (64)
  --budget-min N      begin nothing that would not end within so many minutes
  --quick             ${QUICK.rounds} rounds of ${QUICK.seconds} s
  --json              standard output is one object of JSON; progress goes to standard error
`;

/** @throws HoldfastError `USAGE` */
export function parseSteadyOptions(args: readonly string[]): SteadyOptions | 'help' {
  const { values } = usage(() =>
    parseArgs({
      args: [...args],
      options: {
        proxies: { type: 'string', default: keys.join(' ') },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        connections: { type: 'string', default: '64' },
        'budget-min': { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  );
  if (values.help) return 'help';
  const standard = values.quick ? QUICK : USUAL;
  const chosen = values.proxies
    .trim()
    .split(/\s+/)
    .map((word) => oneOf('--proxies', word, keys));
  const budget = values['budget-min'];
  return {
    proxies: keys.filter((key) => chosen.includes(key)),
    rounds: wholeNumber('--rounds', values.rounds ?? standard.rounds, 1, 1_000),
    seconds: wholeNumber('--seconds', values.seconds ?? standard.seconds, 1, 600),
    connections: wholeNumber('--connections', values.connections, 1, 10_000),
    ...(budget === undefined ? {} : { budgetMs: wholeNumber('--budget-min', budget, 1, 10_000) * 60_000 }),
    json: values.json,
  };
}
