import type { Command } from 'commander';
import { Exit } from './failure.ts';
import { print, printJson } from './text.ts';

export function checkCommand(program: Command): void {
  program
    .command('check')
    .description('check a configuration file and the files it names')
    .requiredOption('-c, --config <file>', 'the configuration')
    .option('--json', 'print one JSON object', false)
    .action(async ({ config: file, json }: { config: string; json: boolean }) => {
      try {
        const config = await check(file);
        const counts = { hosts: Object.keys(config.hosts).length, apps: Object.keys(config.apps).length };
        if (json) printJson({ file, valid: true, ...counts });
        else print(`${file} is valid: hosts ${counts.hosts}, apps ${counts.apps}\n`);
      } catch (error) {
        if (!json) throw error;
        const { toErrorBody } = await import('../../migrator/errors.ts');
        printJson({ file, valid: false, error: toErrorBody(error) });
        process.exitCode = Exit.failed;
      }
    });
}

async function check(file: string) {
  const [{ loadGatewayConfig }, { readTlsFiles }, { readToken }] = await Promise.all([
    import('../config/load.ts'),
    import('../../migrator/pki/tls-files.ts'),
    import('../admin/token.ts'),
  ]);
  const config = await loadGatewayConfig(file);
  if (config.tls !== undefined) await readTlsFiles(config.tls);
  if (config.admin.tokenFile !== undefined) await readToken(config.admin.tokenFile);
  return config;
}
