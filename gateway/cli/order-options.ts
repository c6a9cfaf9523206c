import { type Command, Option } from 'commander';
import { AUTO, STRATEGY_ORDERS, type StrategyOrder } from '../../migrator/events.ts';
import type { MigrationRequest } from '../../migrator/orders.ts';
import { parseDurationMs } from './duration.ts';
import { parseRate } from './rate.ts';

const STRATEGY_HELP = [
  'how its memory gets there:',
  'auto, what the planner takes to be best (of all for a container of one process, else of the first two);',
  'pre-copy, ahead while it runs, the rest while it stands still;',
  'stop-and-copy, all of it while it stands still;',
  'hybrid, ahead while it runs, the rest after it runs at the destination;',
  'post-copy, all of it after it runs at the destination.',
  'RISK of hybrid and post-copy: until the last page is over, both hosts are needed. Should the source or the link be',
  'lost for good before, what the app has done since the move is lost',
].join(' ');

export interface OrderOptions {
  readonly to: string;
  readonly strategy: StrategyOrder;
  readonly maxFreeze?: number;
  readonly limitRate?: number;
}

/** What may be said of a move, whether it is made or only planned. */
export function withOrderOptions(command: Command): Command {
  return command
    .requiredOption('--to <host>', 'where to move it')
    .addOption(new Option('--strategy <strategy>', STRATEGY_HELP).choices(STRATEGY_ORDERS).default(AUTO))
    .addOption(
      new Option(
        '--max-freeze <time>',
        'refuse a move that is to freeze the app for longer, as 300ms',
      ).argParser(parseDurationMs),
    )
    .addOption(
      new Option(
        '--limit-rate <rate>',
        'send no more than this, the freeze included, as 200mbit or 25MB/s',
      ).argParser(parseRate),
    );
}

export function requestOf(
  app: string,
  { to, strategy, maxFreeze, limitRate }: OrderOptions,
): MigrationRequest {
  return {
    app,
    to,
    strategy,
    ...(maxFreeze === undefined ? {} : { maxFreezeMs: maxFreeze }),
    ...(limitRate === undefined ? {} : { limitRateBps: limitRate }),
  };
}
