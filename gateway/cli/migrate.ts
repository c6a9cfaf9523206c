import type { Command } from 'commander';
import { Outcome } from '../../migrator/events.ts';
import type { MigrationRecord } from '../../migrator/record.ts';
import { type AdminOptions, connect, withAdminOptions } from './admin-options.ts';
import { Exit } from './failure.ts';
import { type OrderOptions, requestOf, withOrderOptions } from './order-options.ts';

const EXIT_OF: Readonly<Record<Outcome, Exit>> = {
  [Outcome.succeeded]: Exit.ok,
  [Outcome.refused]: Exit.refused,
  [Outcome.rolledBack]: Exit.failed,
  [Outcome.setBack]: Exit.failed,
  [Outcome.lost]: Exit.failed,
  [Outcome.failed]: Exit.failed,
};

const VERIFY_HELP = [
  'compare the memory of both ends before the app runs on.',
  'It lengthens the freeze, above all of hybrid and post-copy: all that is missing is fetched first, while the app stands still',
].join(' ');

export function migrateCommand(program: Command): void {
  withAdminOptions(
    withOrderOptions(
      program
        .command('migrate <app>')
        .description('move an app to another host while it is used, and follow the move to its end')
        .option('--verify', VERIFY_HELP),
    ),
  ).action(async (app: string, options: AdminOptions & OrderOptions & { verify?: true }) => {
    const [{ followMigration }, { Progress }, { printJson }, { fromErrorBody }, { reportFailure }] =
      await Promise.all([
        import('./follow.ts'),
        import('./progress.ts'),
        import('./text.ts'),
        import('../../migrator/errors.ts'),
        import('./failure.ts'),
      ]);
    const client = await connect(options);
    const { id } = await client.post<MigrationRecord>('/v1/migrations', {
      ...requestOf(app, options),
      ...(options.verify ? { verify: true } : {}),
    });
    const progress = new Progress(process.stdout);
    const ended = await followMigration(client, id, options.json ? () => {} : progress.show);
    if (options.json) printJson(await client.get(`/v1/migrations/${id}`));
    else if (ended.error !== undefined) reportFailure(fromErrorBody(ended.error));
    process.exitCode = EXIT_OF[ended.outcome];
  });
}
