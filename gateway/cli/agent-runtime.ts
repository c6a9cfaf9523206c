import type { Command } from 'commander';
import { runningDocker } from '../../migrator/engine/docker/runtime/daemon.ts';
import {
  DEFAULT_DAEMON_JSON,
  DEFAULT_WRAPPER_FILE,
  type InstallOptions,
  installRuntime,
  uninstallRuntime,
} from '../../migrator/engine/docker/runtime/install.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { print } from './text.ts';

interface RuntimeFlags {
  readonly daemonJson: string;
  readonly runtimeFile: string;
  readonly socket: string;
  readonly pidFile: string;
}

const TIMEOUT_MS = 30_000;

/** `gateway agent install` and `gateway agent uninstall`: what Docker on this host needs to take containers in. */
export function runtimeCommands(agent: Command): void {
  runtimeCommand(agent, 'install', "register Holdfast's runtime with Docker on this host", installRuntime);
  runtimeCommand(agent, 'uninstall', 'take the runtime out of Docker again', uninstallRuntime);
}

function runtimeCommand(
  agent: Command,
  name: string,
  description: string,
  act: (options: InstallOptions) => Promise<string[]>,
): void {
  agent
    .command(name)
    .description(description)
    .option('--daemon-json <file>', "Docker's configuration", DEFAULT_DAEMON_JSON)
    .option('--runtime-file <file>', 'where the runtime is put', DEFAULT_WRAPPER_FILE)
    .option('--socket <path>', "Docker's socket", '/var/run/docker.sock')
    .option('--pid-file <file>', "dockerd's pid file", '/var/run/docker.pid')
    .action(async ({ daemonJson, runtimeFile, socket, pidFile }: RuntimeFlags) => {
      if (process.getuid?.() !== 0) {
        throw new HoldfastError('NOT_ROOT', "only root may change Docker's configuration", {
          mend: 'run it as root',
        });
      }
      const docker = await runningDocker(socket, pidFile);
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const done = await act({ daemonJson, wrapperFile: runtimeFile, docker, signal });
      for (const line of done) print(`${line}\n`);
    });
}
