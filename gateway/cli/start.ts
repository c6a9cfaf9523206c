import type { Command } from 'commander';
import type { AppReply } from '../admin/schemas.ts';
import { type AdminOptions, connect, withAdminOptions } from './admin-options.ts';
import { print, printJson } from './text.ts';

export function startCommand(program: Command): void {
  withAdminOptions(
    program
      .command('start <app>')
      .description('start an app that runs nowhere')
      .requiredOption('--on <host>', 'where to start it'),
  ).action(async (app: string, options: AdminOptions & { on: string }) => {
    const client = await connect(options);
    const reply = await client.post<AppReply>(`/v1/apps/${encodeURIComponent(app)}/start`, {
      host: options.on,
    });
    if (options.json) printJson(reply);
    else print(`${app} runs on ${reply.host} at ${reply.url}\n`);
  });
}
