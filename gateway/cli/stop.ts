import type { Command } from 'commander';
import type { AppReply } from '../admin/schemas.ts';
import { type AdminOptions, connect, withAdminOptions } from './admin-options.ts';
import { print, printJson } from './text.ts';

export function stopCommand(program: Command): void {
  withAdminOptions(
    program
      .command('stop <app>')
      .description('stop an app; what it held in memory is lost')
      .option('--on <host>', 'stop it on this host only, when it runs on two'),
  ).action(async (app: string, options: AdminOptions & { on?: string }) => {
    const client = await connect(options);
    const body = options.on === undefined ? {} : { host: options.on };
    const reply = await client.post<AppReply>(`/v1/apps/${encodeURIComponent(app)}/stop`, body);
    if (options.json) printJson(reply);
    else print(`${app} was stopped\n`);
  });
}
