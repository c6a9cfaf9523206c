import type { Command } from 'commander';
import { pino } from 'pino';
import { startAgent } from '../../migrator/agent/agent.ts';
import { readAgentConfig } from '../../migrator/agent/config.ts';
import { engineKinds } from '../../migrator/agent/engines.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { readTlsFiles } from '../../migrator/pki/tls-files.ts';
import { parseRateBps } from '../../migrator/rate.ts';
import { parseAddress } from '../config/address.ts';
import { packageVersion } from '../version.ts';
import { runtimeCommands } from './agent-runtime.ts';

/** `gateway agent`: the part of Holdfast that runs on each host. */
export function agentCommand(program: Command): void {
  const agent = program
    .command('agent')
    .description('run the agent of this host, as root')
    .usage('-c <file>')
    // Not a required option to commander: it would be one of the commands below, too.
    .option('-c, --config <file>', 'its configuration, agent.yaml')
    .action(async ({ config }: { config?: string }) => {
      if (config === undefined) {
        return agent.error("error: required option '-c, --config <file>' not specified");
      }
      await runAgent(config);
    });
  runtimeCommands(agent);
}

/** Runs until SIGTERM or SIGINT. @throws HoldfastError `NOT_ROOT` and what starting an agent gives */
async function runAgent(file: string): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new HoldfastError('NOT_ROOT', 'the agent freezes and restores containers, which only root may', {
      mend: 'run it as root',
    });
  }
  const config = await readAgentConfig(file);
  const tls = await readTlsFiles(config.tls);
  const log = pino({ base: { host: config.host } });
  const engines = Object.entries(engineKinds).flatMap(([name, kind]) => {
    const containers = Object.entries(config.containers).filter(([, { engine }]) => engine === name);
    if (containers.length === 0) return [];
    const { runDir, stateDir, docker } = config;
    return [kind.create({ containers: Object.fromEntries(containers), runDir, stateDir, docker, log })];
  });
  const agent = await startAgent({
    ...config,
    version: packageVersion(),
    listen: parseAddress(config.listen),
    tls,
    engines,
    limitRateBps: config.limitRate === undefined ? undefined : parseRateBps(config.limitRate),
    log,
  });
  log.info({ listen: config.listen, port: agent.port }, 'the agent listens');
  const signal = await new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  log.info({ signal }, 'the agent stops; containers keep running');
  await agent.close();
}
