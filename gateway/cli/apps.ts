import type { Command } from 'commander';
import type { AppReply } from '../admin/schemas.ts';
import { type AdminOptions, connect, withAdminOptions } from './admin-options.ts';
import { print, printJson, table } from './text.ts';

export function appsCommand(program: Command): void {
  withAdminOptions(
    program.command('apps').description('where every app runs, and what stands at its gate'),
  ).action(async (options: AdminOptions) => {
    const reply = await (await connect(options)).get<{ apps: AppReply[] }>('/v1/apps');
    if (options.json) printJson(reply);
    else print(appsTable(reply.apps));
  });
}

export function appsTable(apps: readonly AppReply[]): string {
  return table(
    ['APP', 'HOST', 'URL', 'GATE', 'IN FLIGHT', 'HELD', 'MIGRATION'],
    apps.map(({ app, kind, host, url, gate, migration }) => [
      app,
      host ?? (kind === 'upstream' ? '(upstream)' : '?'),
      url ?? '-',
      gate.state,
      String(gate.inFlightRequests),
      String(gate.heldRequests),
      migration ?? '-',
    ]),
  );
}
