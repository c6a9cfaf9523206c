import { type Command, Option } from 'commander';
import type { AdminClient } from './admin-client.ts';

export interface AdminOptions {
  readonly admin: string;
  readonly tokenFile?: string;
  readonly json: boolean;
}

/** The options of every command that talks to a running gateway. */
export function withAdminOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--admin <url>', 'the gateway’s admin URL')
        .env('HOLDFAST_ADMIN')
        .default('http://127.0.0.1:9100'),
    )
    .addOption(new Option('--token-file <file>', 'file with the admin token').env('HOLDFAST_TOKEN_FILE'))
    .option('--json', 'print one JSON object', false);
}

export async function connect(options: AdminOptions): Promise<AdminClient> {
  const { AdminClient } = await import('./admin-client.ts');
  const { tokenFile } = options;
  if (tokenFile === undefined) return new AdminClient({ url: options.admin });
  const { readToken } = await import('../admin/token.ts');
  return new AdminClient({ url: options.admin, token: await readToken(tokenFile) });
}
