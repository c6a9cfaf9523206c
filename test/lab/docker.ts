import { createReadStream } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { APP_IMAGE, APP_IMAGE_PORT, ensureAppImage } from './docker-image.ts';
import { createLab, type Lab, type LabHost, type LabOptions } from './lab.ts';
import { Supervised } from './supervised.ts';

export { APP_IMAGE, APP_IMAGE_PORT } from './docker-image.ts';

/** What the hosts of a lab with Docker have beyond the usual: Debian's own Docker, as a user would install it. */
export const DOCKER_PACKAGES = ['docker.io', 'docker-cli', 'rsync', 'inotify-tools'];

/** The Docker Engine of one lab host. */
export interface LabDocker {
  readonly host: LabHost;
  /** The engine's socket, as the machine reaches it. */
  readonly socketPath: string;
  readonly api: Docker;
  /** dockerd alone; containers and containerd go on without it. */
  readonly daemon: Supervised;
  /** Run `docker ARGS` on the host as its user would; what it printed comes back, trimmed. */
  docker(...args: readonly string[]): Promise<string>;
}

export interface DockerLab {
  readonly lab: Lab;
  /** @throws HoldfastError `LAB_NO_HOST` */
  on(host: string): LabDocker;
  down(): Promise<void>;
}

export interface DockerLabOptions extends Omit<LabOptions, 'packages'> {
  /** Leave the app's image out. */
  readonly bare?: boolean;
}

/** Where a lab host has its real disk: an overlay on the host's own overlay is refused. */
const DISK = '/var/lib/holdfast-disk';
const DATA_DIRS = ['docker', 'containerd'];
const CALL_TIMEOUT_MS = 60_000;
const LOAD_TIMEOUT_MS = 120_000;
const POLL_MS = 10;

/**
 * A lab in which every host runs a stock Docker Engine that has the app's image. All of it, containers and images too, is
 * in the lab's hosts and on their disks: it goes away with the lab and in the same ways.
 */
export async function createDockerLab(options: DockerLabOptions = {}): Promise<DockerLab> {
  const { bare = false, ...labOptions } = options;
  const log = options.log ?? (() => {});
  const signal = options.signal ?? new AbortController().signal;
  const lab = await createLab({ ...labOptions, packages: DOCKER_PACKAGES });
  try {
    const archive = bare ? undefined : await ensureAppImage(log, signal);
    const engines = await Promise.all(
      [...lab.hosts.values()].map(async (host) => {
        const docker = await startDocker(host);
        if (archive !== undefined) await loadImage(docker, archive, signal);
        return docker;
      }),
    );
    const byHost = new Map(engines.map((docker) => [docker.host.name, docker]));
    return {
      lab,
      on(name) {
        const docker = byHost.get(lab.host(name).name);
        if (docker === undefined) throw new Error(`there is no Docker on ${name}`);
        return docker;
      },
      down: () => lab.down(),
    };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** What a user types to have the app on a host: `docker run -d --name shop -p 8080:8080 …`. Settles when it answers. */
export async function runApp(
  { host, docker }: LabDocker,
  options: { name?: string; port?: number; memoryMib?: number; more?: readonly string[] } = {},
): Promise<string> {
  const { name = 'shop', port = APP_IMAGE_PORT, memoryMib = 8, more = [] } = options;
  const publish = ['-p', `${port}:${APP_IMAGE_PORT}`, '-e', `MEMORY_MIB=${memoryMib}`];
  const id = await docker('run', '-d', '--name', name, ...publish, ...more, APP_IMAGE);
  await answering(`http://${host.address}:${port}/health`, AbortSignal.timeout(CALL_TIMEOUT_MS));
  return id;
}

/** Settles when a GET of `url` gets a good answer. */
export async function answering(url: string, signal: AbortSignal): Promise<void> {
  await retry(`an answer of ${url}`, signal, async () => {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`it answered ${response.status}`);
  });
}

async function startDocker(host: LabHost): Promise<LabDocker> {
  const make = DATA_DIRS.map(
    (dir) => `mkdir -p ${DISK}/${dir} /var/lib/${dir}; mount --bind ${DISK}/${dir} /var/lib/${dir}`,
  );
  await host.exec('sh', ['-ec', make.join('\n')], { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  const socketPath = path.join(host.rootDir, 'run/docker.sock');
  const api = new Docker({ socketPath });
  const containerd = daemonOf(host, 'containerd', async () => {
    await host.exec('ctr', ['version'], { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  });
  const daemon = daemonOf(host, 'dockerd', async () => {
    await api.ping();
  });
  await containerd.start({ supervise: false });
  await daemon.start({ supervise: false });
  return {
    host,
    socketPath,
    api,
    daemon,
    async docker(...args) {
      const { stdout } = await host.exec('docker', args, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
      return stdout.trim();
    },
  };
}

function daemonOf(host: LabHost, program: string, ready: () => Promise<void>): Supervised {
  return new Supervised({
    name: `${program} on ${host.name}`,
    logFile: path.join(host.rootDir, DISK, `${program}.log`),
    spawn(output) {
      const child = host.spawn(program, [], { stdio: ['ignore', output, output] });
      child.unref(); // It ends with the lab; in one that is kept, it outlives this process.
      return child;
    },
    ready: (signal) => retry(`${program} on ${host.name}`, signal, ready),
  });
}

async function loadImage({ api, host }: LabDocker, archive: string, signal: AbortSignal): Promise<void> {
  const said = await api.loadImage(createReadStream(archive), {
    quiet: true,
    abortSignal: anySignal([signal, AbortSignal.timeout(LOAD_TIMEOUT_MS)]),
  });
  let text = '';
  for await (const chunk of said) text += chunk;
  if (!text.includes(`Loaded image: ${APP_IMAGE}`)) {
    throw new HoldfastError(
      'LAB_PART_FAILED',
      `Docker on ${host.name} did not take the app's image: ${text}`,
    );
  }
}

async function retry(what: string, signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      if (signal.aborted) throw new Error(`waited in vain for ${what}: ${String(cause)}`, { cause });
      await sleep(POLL_MS);
    }
  }
}
