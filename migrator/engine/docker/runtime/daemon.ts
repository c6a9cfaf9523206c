import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { HoldfastError } from '../../../errors.ts';

/** What is asked of a Docker Engine to change its runtimes. */
export interface RunningDocker {
  /** Let it read its configuration again, as `systemctl reload docker` does. Containers run on. */
  reload(): void;
  runtimes(signal: AbortSignal): Promise<readonly string[]>;
  /** The names of all containers made with a runtime, running or not. */
  containersWith(runtime: string, signal: AbortSignal): Promise<readonly string[]>;
}

interface Info {
  readonly Runtimes?: Readonly<Record<string, unknown>>;
}

const LOAD_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/** The Docker Engine of this host, or `undefined` when it does not run. */
export async function runningDocker(socketPath: string, pidFile: string): Promise<RunningDocker | undefined> {
  const pid = await dockerdPid(pidFile);
  if (pid === undefined) return undefined;
  const docker = new Docker({ socketPath });
  return {
    reload: () => {
      process.kill(pid, 'SIGHUP');
    },
    async runtimes(abortSignal) {
      // @types/dockerode does not know that it takes options.
      const info = docker.info as (options: { abortSignal: AbortSignal }) => Promise<Info>;
      const { Runtimes } = await info.call(docker, { abortSignal });
      return Object.keys(Runtimes ?? {});
    },
    async containersWith(runtime, abortSignal) {
      const listed = await docker.listContainers({ all: true, abortSignal });
      const inspected = await Promise.all(
        listed.map(({ Id }) =>
          docker
            .getContainer(Id)
            .inspect({ abortSignal })
            .catch((error: { statusCode?: number }) => {
              if (error.statusCode === 404) return undefined; // Removed meanwhile.
              throw error;
            }),
        ),
      );
      return inspected.flatMap((one) =>
        one?.HostConfig.Runtime === runtime ? [one.Name.replace(/^\//, '')] : [],
      );
    },
  };
}

async function dockerdPid(pidFile: string): Promise<number | undefined> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  // A file that outlived its process may name another one by now, which SIGHUP would end.
  const comm = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return comm.trim() === 'dockerd' ? pid : undefined;
}

/**
 * Have Docker read its configuration, and see that it has the runtime, or has it no longer.
 *
 * @returns what was done
 * @throws `RUNTIME_NOT_LOADED`
 */
export async function loadRuntimes(
  docker: RunningDocker | undefined,
  runtime: string,
  wanted: boolean,
  signal: AbortSignal,
): Promise<string> {
  if (docker === undefined) return 'Docker does not run: it reads this when it is started';
  docker.reload();
  const untilMs = performance.now() + LOAD_TIMEOUT_MS;
  while ((await docker.runtimes(signal)).includes(runtime) !== wanted) {
    if (performance.now() > untilMs || signal.aborted) {
      throw new HoldfastError(
        'RUNTIME_NOT_LOADED',
        `Docker does not take over what its configuration says of the runtime ${runtime}`,
        {
          mend: "see dockerd's log: runtimes may be given on its command line too, or it reads another file",
        },
      );
    }
    await sleep(POLL_MS);
  }
  return 'Docker has read its configuration again; no container was touched';
}
