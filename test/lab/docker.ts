import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { run } from '../../migrator/process.ts';
import { APP_IMAGE, APP_IMAGE_PORT, imageRecipe, type LabImage, packImage, SHOP } from './docker-image.ts';
import { createLab, type Lab, type LabHost, type LabOptions } from './lab.ts';
import { withLock } from './lock.ts';
import { cacheDir, disksDir } from './names.ts';
import { ensureRootfs } from './rootfs.ts';
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
  /** The image that every engine has: that of the test app when not given. */
  readonly image?: LabImage;
  /** Leave it out. */
  readonly bare?: boolean;
  /** What Docker itself calls experimental is on, its own checkpoints among that. */
  readonly experimental?: boolean;
}

/** Where a lab host has its real disk: an overlay on the host's own overlay is refused. */
const DISK = '/var/lib/holdfast-disk';
const DATA_DIRS = ['docker', 'containerd'];
/** Of Docker's directory: what its images are. */
const IMAGE_DIRS = ['overlay2', 'image'];
const NEVER = new AbortController().signal;
const CALL_TIMEOUT_MS = 60_000;
const LOAD_TIMEOUT_MS = 120_000;
const POLL_MS = 10;

/**
 * A lab in which every host runs a stock Docker Engine that has the app's image. All of it, containers and images too, is
 * in the lab's hosts and on their disks: it goes away with the lab and in the same ways.
 */
export async function createDockerLab(options: DockerLabOptions = {}): Promise<DockerLab> {
  const { bare = false, experimental = false, image = SHOP, ...labOptions } = options;
  const images = bare ? undefined : await ensureImages(image, options);
  const lab = await createLab({ ...labOptions, packages: DOCKER_PACKAGES });
  try {
    if (images !== undefined) await giveImages(lab, images, options);
    const engines = await Promise.all(
      [...lab.hosts.values()].map((host) => startDocker(host, experimental ? ['--experimental'] : [])),
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

type Making = Pick<LabOptions, 'log' | 'signal'>;

/**
 * What an engine has on its disk once it has loaded an image. Made on first use, by an engine in a lab, then shared
 * by all runs: to load it takes each engine ten seconds, to link it one.
 */
export async function ensureImages(
  image: LabImage,
  { log = () => {}, signal = NEVER }: Making,
): Promise<string> {
  const [rootfs, hostRootfs] = [
    await ensureRootfs(log, signal, image.packages),
    await ensureRootfs(log, signal, DOCKER_PACKAGES),
  ];
  const recipe = JSON.stringify([path.basename(hostRootfs), await imageRecipe(image, rootfs)]);
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 16);
  const dir = path.join(cacheDir(), 'docker-images', image.name.replace(':', '-'), key);
  if (existsSync(dir)) return dir;
  const parent = path.dirname(dir);
  await mkdir(parent, { recursive: true });
  await withLock(path.join(parent, 'lock'), signal, async () => {
    if (existsSync(dir)) return;
    // Whoever holds the lock has the directory to himself: what else is there is from apps and systems of the past.
    for (const entry of await readdir(parent)) {
      if (entry !== 'lock') await rm(path.join(parent, entry), { recursive: true, force: true });
    }
    log(`lab: packing ${image.name} and loading it into Docker; once`);
    const part = await mkdtemp(path.join(parent, 'part-'));
    const lab = await createDockerLab({ bare: true, hosts: ['a'], log, signal });
    try {
      const docker = lab.on('a');
      await loadImage(docker, image, await packImage(image, rootfs, part, signal), signal);
      await docker.daemon.stop();
      const whole = path.join(part, 'whole');
      await mkdir(whole);
      const loaded = IMAGE_DIRS.map((one) => path.join(disksDir(lab.lab.name), 'a/docker', one));
      await run('cp', ['-a', ...loaded, whole], { signal });
      await rename(whole, dir);
    } finally {
      await lab.down();
      await rm(part, { recursive: true, force: true });
    }
  });
  return dir;
}

/** Linked rather than copied where cache and disk are one file system: nothing writes to a file of a layer in its place. */
async function giveImages(lab: Lab, images: string, { signal = NEVER }: Making): Promise<void> {
  await Promise.all(
    [...lab.hosts.keys()].map(async (host) => {
      const data = path.join(disksDir(lab.name), host, 'docker');
      const copy = `mkdir -p "$2"; cp -al "$1"/. "$2" 2>/dev/null || cp -a "$1"/. "$2"`;
      await run('sh', ['-ec', copy, 'give-images', images, data], { signal });
    }),
  );
}

/** What a user types to have the app on a host: `docker run -d --name shop -p 8080:8080 …`. Settles when it answers. */
export async function runApp(
  { host, docker }: LabDocker,
  options: {
    name?: string;
    port?: number;
    memoryMib?: number;
    more?: readonly string[];
    command?: readonly string[];
    image?: string;
  } = {},
): Promise<string> {
  const { name = 'shop', port = APP_IMAGE_PORT, memoryMib = 8 } = options;
  const { more = [], command = [], image = APP_IMAGE } = options;
  const publish = ['-p', `${port}:${APP_IMAGE_PORT}`, '-e', `MEMORY_MIB=${memoryMib}`];
  const id = await docker('run', '-d', '--name', name, ...publish, ...more, image, ...command);
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

async function startDocker(host: LabHost, flags: readonly string[]): Promise<LabDocker> {
  const make = DATA_DIRS.map(
    (dir) => `mkdir -p ${DISK}/${dir} /var/lib/${dir}; mount --bind ${DISK}/${dir} /var/lib/${dir}`,
  );
  await host.exec('sh', ['-ec', make.join('\n')], { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  const socketPath = path.join(host.rootDir, 'run/docker.sock');
  const api = new Docker({ socketPath });
  const containerd = daemonOf(host, 'containerd', [], async () => {
    await host.exec('ctr', ['version'], { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
  });
  const daemon = daemonOf(host, 'dockerd', flags, async () => {
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

function daemonOf(
  host: LabHost,
  program: string,
  flags: readonly string[],
  ready: () => Promise<void>,
): Supervised {
  return new Supervised({
    name: `${program} on ${host.name}`,
    logFile: path.join(host.rootDir, DISK, `${program}.log`),
    spawn(output) {
      const child = host.spawn(program, flags, { stdio: ['ignore', output, output] });
      child.unref(); // It ends with the lab; in one that is kept, it outlives this process.
      return child;
    },
    ready: (signal) => retry(`${program} on ${host.name}`, signal, ready),
  });
}

async function loadImage(
  { api, host }: LabDocker,
  image: LabImage,
  archive: string,
  signal: AbortSignal,
): Promise<void> {
  const said = await api.loadImage(createReadStream(archive), {
    quiet: true,
    abortSignal: anySignal([signal, AbortSignal.timeout(LOAD_TIMEOUT_MS)]),
  });
  let text = '';
  for await (const chunk of said) text += chunk;
  if (!text.includes(`Loaded image: ${image.name}`)) {
    throw new HoldfastError('LAB_PART_FAILED', `Docker on ${host.name} did not take ${image.name}: ${text}`);
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
