import { parseArgs } from 'node:util';
import { usage, wholeNumber } from '../demo-options.ts';

export interface FlipOptions {
  readonly flips: number;
  readonly ratePerS: number;
  readonly haproxys: number;
  readonly json: boolean;
}

export const HELP = `npm run bench:flip -- [options]

  --flips N       holds, one after the other (40)
  --rps N         requests a second, whatever the answers do (2000)
  --haproxys N    how many stand in front, the requests shared out among them (1)
  --json          standard output is one object of JSON; progress goes to standard error
`;

/** @throws HoldfastError `USAGE` */
export function parseFlipOptions(args: readonly string[]): FlipOptions | 'help' {
  const { values } = usage(() =>
    parseArgs({
      args: [...args],
      options: {
        flips: { type: 'string', default: '40' },
        rps: { type: 'string', default: '2000' },
        haproxys: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  );
  if (values.help) return 'help';
  return {
    flips: wholeNumber('--flips', values.flips, 1, 10_000),
    ratePerS: wholeNumber('--rps', values.rps, 1, 20_000),
    haproxys: wholeNumber('--haproxys', values.haproxys, 1, 16),
    json: values.json,
  };
}
