import type { Command } from 'commander';
import { anySignal } from '../../migrator/any-signal.ts';

/** How long a gateway that is stopped waits for what is in flight and for what is moving. */
const STOP_DEADLINE_MS = 30_000;

export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('run the gateway: the proxy, its gate, and the admin API')
    .requiredOption('-c, --config <file>', 'the configuration')
    .action(async ({ config: file }: { config: string }) => {
      const [{ loadGatewayConfig }, { startGateway }, { pino }] = await Promise.all([
        import('../config/load.ts'),
        import('../serve.ts'),
        import('pino'),
      ]);
      const config = await loadGatewayConfig(file);
      const log = pino({ level: config.log.level, name: 'gateway' });
      const stopped = stopSignal();
      const gateway = await startGateway(config, log);
      log.info({ url: gateway.url, admin: gateway.adminUrl }, 'the gateway is ready');
      const hurry = await stopped;
      log.info('stopping: finishing what is in flight');
      await gateway.stop(anySignal([hurry, AbortSignal.timeout(STOP_DEADLINE_MS)]));
      log.info('stopped');
    });
}

/** Settles at the first SIGTERM or SIGINT; what it gives fires at the second. A hang-up is nothing to a daemon. */
function stopSignal(): Promise<AbortSignal> {
  const hurry = new AbortController();
  process.on('SIGHUP', () => {});
  return new Promise((resolve) => {
    let asked = false;
    const ask = () => {
      if (asked) hurry.abort();
      asked = true;
      resolve(hurry.signal);
    };
    process.on('SIGTERM', ask);
    process.on('SIGINT', ask);
  });
}
