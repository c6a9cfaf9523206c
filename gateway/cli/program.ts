import { Command } from 'commander';
import { packageVersion } from '../version.ts';
import { appsCommand } from './apps.ts';
import { checkCommand } from './check.ts';
import { Exit, reportFailure } from './failure.ts';
import { haproxyCommand } from './haproxy.ts';
import { migrateCommand } from './migrate.ts';
import { planCommand } from './plan.ts';
import { serveCommand } from './serve.ts';
import { startCommand } from './start.ts';
import { statusCommand } from './status.ts';
import { stopCommand } from './stop.ts';

const MORE_HELP = `
Exit codes: 0 done, 1 failed or rolled back, 2 refused or not understood.

Environment:
  HOLDFAST_ADMIN       the gateway's admin URL (http://127.0.0.1:9100)
  HOLDFAST_TOKEN_FILE  file with the admin API's token
`;

/** Every command's module is light, and loads what it needs when it runs; these two are loaded only when named. */
const HEAVY = {
  agent: {
    description: 'run the agent of this host, as root',
    load: async () => (await import('./agent.ts')).agentCommand,
  },
  pki: {
    description: 'make the certificates that gateway and agents trust',
    load: async () => (await import('./pki.ts')).pkiCommand,
  },
} as const;

/** @param args tell which commands must be there in full; the others are there to be listed */
export async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('gateway')
    .description('A gateway that moves running web containers between hosts while people use them.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', MORE_HELP)
    .showHelpAfterError('  gateway --help tells more')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'gateway: USAGE: ')),
    })
    .exitOverride();

  program.commandsGroup('On the gateway:');
  serveCommand(program);
  checkCommand(program);
  haproxyCommand(program);
  program.commandsGroup('Of a running gateway:');
  migrateCommand(program);
  planCommand(program);
  appsCommand(program);
  statusCommand(program);
  startCommand(program);
  stopCommand(program);
  program.commandsGroup('On the hosts:');
  await addHeavy(program, 'agent', args);
  program.commandsGroup('Once:');
  await addHeavy(program, 'pki', args);
  return program;
}

async function addHeavy(program: Command, name: keyof typeof HEAVY, args: readonly string[]): Promise<void> {
  const { description, load } = HEAVY[name];
  if (args.includes(name)) (await load())(program);
  else program.command(name).description(description);
}

/** Run one command line, without the program's name. @returns the exit code */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    await (await createProgram(args)).parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? Exit.ok);
  } catch (error) {
    return reportFailure(error);
  }
}
