import { parseArgs } from 'node:util';
import { GATE_TYPES, type GateType } from '../gateway/config/schema.ts';
import { HoldfastError } from '../migrator/errors.ts';
import { AUTO, STRATEGY_ORDERS, type StrategyOrder } from '../migrator/events.ts';
import { type Link, parseLink } from '../test/lab/lab.ts';

export const DEMO_ENGINES = ['runc', 'docker'] as const;
export type DemoEngine = (typeof DEMO_ENGINES)[number];

export interface DemoOptions {
  readonly memoryMib: number;
  readonly ratePerS: number;
  readonly clients: number;
  readonly moves: number;
  readonly strategy: StrategyOrder;
  readonly verify: boolean;
  readonly engine: DemoEngine;
  readonly gate: GateType;
  readonly link: Link;
  readonly linkText: string;
  readonly keep: boolean;
  readonly json: boolean;
}

export const DEMO_HELP = `npm run demo -- [options]

  --memory-mib N    sessions the app keeps in memory, Node's own memory comes on top (64)
  --rps N           requests a second, whatever the answers do (500)
  --clients N       keep-alive clients, each a user of its own (32)
  --moves N         moves to and fro (2)
  --strategy S      auto, or one of those that gateway plan lists (auto)
  --verify          compare the memory at both ends before the app runs on
  --engine E        what runs the app: runc, or docker: a stock Docker Engine on each host (runc)
  --gate G          built-in, or haproxy: with the lab's HAProxy in front (built-in)
  --link LINK       the hosts' links: 1gbit, 100mbit, 1gbit,5ms, unlimited (1gbit)
  --keep            leave everything up afterwards, to play with, until Ctrl-C
  --json            standard output is one line of JSON; the story goes to standard error
`;

/** @throws HoldfastError `USAGE` */
export function parseDemoOptions(args: readonly string[]): DemoOptions | 'help' {
  const { values } = usage(() =>
    parseArgs({
      args: [...args],
      options: {
        'memory-mib': { type: 'string', default: '64' },
        rps: { type: 'string', default: '500' },
        clients: { type: 'string', default: '32' },
        moves: { type: 'string', default: '2' },
        strategy: { type: 'string', default: AUTO },
        verify: { type: 'boolean', default: false },
        engine: { type: 'string', default: 'runc' },
        gate: { type: 'string', default: 'built-in' },
        link: { type: 'string', default: '1gbit' },
        keep: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }),
  );
  if (values.help) return 'help';
  return {
    memoryMib: wholeNumber('--memory-mib', values['memory-mib'], 0, 65_536),
    ratePerS: wholeNumber('--rps', values.rps, 1, 20_000),
    clients: wholeNumber('--clients', values.clients, 1, 10_000),
    moves: wholeNumber('--moves', values.moves, 1, 10_000),
    verify: values.verify,
    strategy: oneOf('--strategy', values.strategy, STRATEGY_ORDERS),
    engine: oneOf('--engine', values.engine, DEMO_ENGINES),
    gate: oneOf('--gate', values.gate, GATE_TYPES),
    link: parseLink(values.link),
    linkText: values.link,
    keep: values.keep,
    json: values.json,
  };
}

/** @throws HoldfastError `USAGE` */
export function oneOf<T extends string>(name: string, text: string, known: readonly T[]): T {
  const found = known.find((one) => one === text);
  if (found !== undefined) return found;
  throw usageError(`${name} must be ${known.join(' or ')}, not ${JSON.stringify(text)}`);
}

export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw usageError(`${name} must be a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}

/** @throws HoldfastError `USAGE` for what `parseArgs` refuses */
export function usage<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

function usageError(message: string): HoldfastError {
  return new HoldfastError('USAGE', message, { mend: 'see --help' });
}
