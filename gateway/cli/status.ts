import type { Command } from 'commander';
import type { MigrationRecord } from '../../migrator/record.ts';
import type { AppReply, HaproxyReply, HostReply } from '../admin/schemas.ts';
import { type AdminOptions, connect, withAdminOptions } from './admin-options.ts';
import { appsTable } from './apps.ts';
import { print, printJson, table } from './text.ts';

interface Status {
  readonly version: string;
  readonly hosts: readonly HostReply[];
  readonly haproxys: readonly HaproxyReply[];
  readonly apps: readonly AppReply[];
  readonly migrations: readonly MigrationRecord[];
}

export function statusCommand(program: Command): void {
  withAdminOptions(
    program
      .command('status')
      .description('the gateway, its hosts as they answer now, HAProxys in front, its apps, what is moving'),
  ).action(async (options: AdminOptions) => {
    const status = await (await connect(options)).get<Status>('/v1/status');
    if (options.json) return printJson(status);
    const hosts = status.hosts.map(({ host, agent, reachable, version }) => [
      host,
      agent,
      reachable ? `up, version ${version}` : 'does not answer',
    ]);
    const haproxys = status.haproxys.map(({ haproxy, optional, reachable }) => [
      optional ? `${haproxy} (optional)` : haproxy,
      reachable ? 'up' : 'does not answer',
    ]);
    const moving = status.migrations.map(({ id, app, from, to, step }) => [id, app, from, to, step ?? '-']);
    const parts = [`gateway ${status.version}\n`];
    if (hosts.length > 0) parts.push(table(['HOST', 'AGENT', 'STATE'], hosts));
    if (haproxys.length > 0) parts.push(table(['HAPROXY', 'STATE'], haproxys));
    if (status.apps.length > 0) parts.push(appsTable(status.apps));
    if (moving.length > 0) parts.push(table(['MIGRATION', 'APP', 'FROM', 'TO', 'STEP'], moving));
    print(parts.join('\n'));
  });
}
