import type { Command } from 'commander';
import { haproxyCheckCommand } from './haproxy-check.ts';
import { print } from './text.ts';

export function haproxyCommand(program: Command): void {
  const haproxy = program.command('haproxy').description('put HAProxy in front of the apps');
  haproxy
    .command('config')
    .description('print a haproxy.cfg for the apps of a configuration')
    .requiredOption('-c, --config <file>', 'the configuration')
    .option('--bind <address>', 'where HAProxy takes users’ connections', ':80')
    .option('--gate <address>', 'where HAProxy reaches the gateway; its `listen` when not given')
    .option('--socket <path>', 'the runtime socket of HAProxy’s worker', '/run/haproxy/holdfast.sock')
    .action(async (options: { config: string; bind: string; gate?: string; socket: string }) => {
      const [{ loadGatewayConfig }, { haproxyText }] = await Promise.all([
        import('../config/load.ts'),
        import('../haproxy-text.ts'),
      ]);
      print(haproxyText(await loadGatewayConfig(options.config), options));
    });
  haproxyCheckCommand(haproxy);
}
