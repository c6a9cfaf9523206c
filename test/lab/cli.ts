import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Command } from 'commander';
import { HoldfastError } from '../../migrator/errors.ts';
import { createDockerLab } from './docker.ts';
import { createLab, leftovers, openLab, parseLink, pruneLabs } from './lab.ts';
import { formatLink } from './link.ts';
import { gatewayAddress } from './network.ts';
import { removeLab } from './remove.ts';
import { isAlive, labNames, readState } from './state.ts';

const DEFAULT_NAME = 'lab';

const log = (line: string) => process.stderr.write(`${line}\n`);
const print = (line: string) => process.stdout.write(`${line}\n`);

function named(command: string, description: string): Command {
  return program
    .command(command)
    .description(description)
    .option('--name <name>', 'which lab, where there are several', DEFAULT_NAME);
}

const program = new Command('lab')
  .description('Hosts on this machine to move containers between')
  .enablePositionalOptions();

named('up', 'make a lab that stays until it is taken down')
  .option('--hosts <names>', 'names of the hosts, with commas', 'a,b')
  .option('--link <spec>', 'bandwidth and delay of every host: 1gbit,5ms', 'unlimited')
  .option('--docker', 'with a Docker Engine on each host', false)
  .action(
    async ({ name, hosts, link, docker }: { name: string; hosts: string; link: string; docker: boolean }) => {
      const options = { name, hosts: hosts.split(','), link: parseLink(link), keep: true, log };
      if (docker) await createDockerLab(options);
      else await createLab(options);
      printStatus(name);
    },
  );

named('down', 'remove a lab and all that runs in it').action(({ name }: { name: string }) => {
  removeLab(name);
  for (const left of leftovers(name)) log(`still there: ${left}`);
});

program
  .command('status')
  .description('the labs on this machine')
  .action(() => {
    for (const name of labNames()) printStatus(name);
  });

named('exec <host> <command...>', 'run a program inside a host')
  .passThroughOptions()
  .action(async (host: string, words: string[], { name }: { name: string }) => {
    const [command = '', ...args] = words[0] === '--' ? words.slice(1) : words;
    const child = openLab(name).host(host).spawn(command, args, { stdio: 'inherit', env: terminalEnv() });
    process.exitCode = await ended(child);
  });

named(
  'link <spec> [host]',
  'change the link of a host, or of all: 100mbit, 20ms, unlimited, cut, mend',
).action(async (spec: string, host: string | undefined, { name }: { name: string }) => {
  const lab = openLab(name);
  const hosts = host === undefined ? [...lab.hosts.keys()] : [host];
  if (spec === 'cut') await Promise.all(hosts.map((one) => lab.cutLink(one)));
  else if (spec === 'mend') await Promise.all(hosts.map((one) => lab.mendLink(one)));
  else await lab.setLink(parseLink(spec), host);
  printStatus(name);
});

program
  .command('prune')
  .description('remove what killed runs have left')
  .action(() => {
    for (const name of pruneLabs()) print(`removed ${name}`);
  });

function terminalEnv(): NodeJS.ProcessEnv {
  return process.env.TERM === undefined ? {} : { TERM: process.env.TERM };
}

async function ended(child: ChildProcess): Promise<number> {
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? 128;
  } finally {
    process.off('SIGINT', forward).off('SIGTERM', forward);
  }
}

function printStatus(name: string): void {
  const state = readState(name);
  if (state === null) {
    print(`${name}  being made`);
    return;
  }
  const owner = state.owner === null ? 'kept' : `of process ${state.owner.pid}`;
  const gone = state.owner === null || isAlive(state.owner) ? '' : ', which has ended: npm run lab -- prune';
  print(`${name}  ${owner}${gone}  machine ${gatewayAddress(state.subnet)}`);
  for (const host of state.hosts) {
    print(
      `  ${host.name}  ${host.address}  ${host.cut ? 'cut' : formatLink(host.link)}  pid ${host.initPid}`,
    );
  }
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof HoldfastError)) throw error;
  log(error.mend === undefined ? error.message : `${error.message}\n${error.mend}`);
  process.exitCode = 1;
}
