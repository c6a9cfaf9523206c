import { type Command, Option } from 'commander';
import { AUTO, STRATEGY_ORDERS, type StrategyOrder } from '../../migrator/events.ts';
import type { MigrationRequest } from '../../migrator/migrations.ts';
import { parseDurationMs } from './duration.ts';

export interface OrderOptions {
  readonly to: string;
  readonly strategy: StrategyOrder;
  readonly maxFreeze?: number;
}

/** What may be said of a move, whether it is made or only planned. */
export function withOrderOptions(command: Command): Command {
  return command
    .requiredOption('--to <host>', 'where to move it')
    .addOption(
      new Option('--strategy <strategy>', 'how its memory gets there').choices(STRATEGY_ORDERS).default(AUTO),
    )
    .addOption(
      new Option(
        '--max-freeze <time>',
        'refuse a move that is to freeze the app for longer, as 300ms',
      ).argParser(parseDurationMs),
    );
}

export function requestOf(app: string, { to, strategy, maxFreeze }: OrderOptions): MigrationRequest {
  return { app, to, strategy, ...(maxFreeze === undefined ? {} : { maxFreezeMs: maxFreeze }) };
}
