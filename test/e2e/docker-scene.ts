import { readdirSync } from 'node:fs';
import path from 'node:path';
import { APP_IMAGE, createDockerLab, type DockerLab, type LabDocker, runApp } from '../lab/docker.ts';
import { type AgentSettings, APP } from '../system/configs.ts';
import { installRuntime } from '../system/docker-system.ts';
import { AGENT_STATE_DIR, type Instance } from '../system/inspect.ts';
import { type System, startSystem } from '../system/system.ts';
import { RemoteLoad } from '../workload/remote-load.ts';
import { Scene, type SceneOptions } from './scene.ts';

export interface DockerSceneOptions extends SceneOptions {
  /** Further words of `docker run`. */
  readonly run?: readonly string[];
  /** What it runs; the image's own command when not given. */
  readonly command?: readonly string[];
  /** Further containers that the agents are told of, by Docker's names. */
  readonly others?: readonly string[];
  /** A network that the first host has. */
  readonly network?: { readonly name: string; readonly subnet: string };
  /** Called for each host before the app is started on the first: its image is made there, and named. */
  readonly image?: (docker: LabDocker) => Promise<string>;
}

const INSTALL_TIMEOUT_MS = 20_000;
const RUNC_ROOTS = '/run/docker/runtime-*/moby';

/** A scene whose app is a container of a stock Docker Engine, started by `docker run`. */
export class DockerScene extends Scene {
  readonly #docker: DockerLab;

  constructor(docker: DockerLab, system: System, load: RemoteLoad, here: string) {
    super(docker.lab, system, load, here);
    this.#docker = docker;
  }

  static override async open(options: DockerSceneOptions = {}): Promise<DockerScene> {
    const {
      ratePerS = 120,
      postShare = 0.3,
      imagesMib,
      prepareHost,
      run = [],
      command = [],
      others = [],
      network,
      image = async () => APP_IMAGE,
      ...rest
    } = options;
    const docker = await createDockerLab();
    let system: System | undefined;
    try {
      const [first = 'a'] = docker.lab.hosts.keys();
      for (const host of docker.lab.hosts.values()) {
        const mount = `mkdir -p ${AGENT_STATE_DIR}; mount -t tmpfs -o mode=700,size=${imagesMib}m tmpfs ${AGENT_STATE_DIR}`;
        const script = [imagesMib === undefined ? ':' : mount, prepareHost ?? ':'].join('\n');
        await host.exec('sh', ['-ec', script], { signal: AbortSignal.timeout(INSTALL_TIMEOUT_MS) });
        await installRuntime(docker.on(host.name));
      }
      if (network !== undefined) {
        await docker.on(first).docker('network', 'create', '--subnet', network.subnet, network.name);
      }
      const [name = APP_IMAGE] = await Promise.all(
        [...docker.lab.hosts.keys()].map((host) => image(docker.on(host))),
      );
      const memoryMib = rest.app?.memoryMib ?? 16;
      await runApp(docker.on(first), { memoryMib, more: run, command, image: name });
      system = await startSystem({
        ...rest,
        lab: docker.lab,
        idle: true,
        agent(settings, host) {
          dockerSettings(settings, others);
          rest.agent?.(settings, host);
        },
      });
      const load = await RemoteLoad.start({ url: system.url, ratePerS, postShare, clients: 24 });
      return new DockerScene(docker, system, load, first);
    } catch (error) {
      await system?.stop();
      await docker.down();
      throw error;
    }
  }

  docker(host: string, ...args: readonly string[]): Promise<string> {
    return this.#docker.on(host).docker(...args);
  }

  engine(host: string): LabDocker {
    return this.#docker.on(host);
  }

  daemon(host: string): LabDocker['daemon'] {
    return this.#docker.on(host).daemon;
  }

  /** As runc tells, whatever Docker says. */
  override async instances(): Promise<Instance[]> {
    const lists = await Promise.all(
      [...this.lab.hosts.keys()].map(async (host) => {
        const script = `for root in ${RUNC_ROOTS}; do [ ! -d $root ] || runc --root $root list -f json; done`;
        const said = (await this.sh(host, script)).split('\n').filter(Boolean);
        const all = said.flatMap((line) => (JSON.parse(line) ?? []) as Omit<Instance, 'host'>[]);
        return all.map(({ id, status, pid }) => ({ host, id, status, pid }));
      }),
    );
    return lists.flat();
  }

  override async killApp(host: string): Promise<void> {
    await this.docker(host, 'kill', APP);
  }

  /** What is left where the app is not, and of what the agents and the runtime keep where it is. */
  protected override async leftOnHosts(): Promise<string[]> {
    const perHost = await Promise.all(
      [...this.lab.hosts.values()].map(async ({ name, rootDir }) => {
        const listed = (await this.docker(name, 'ps', '-a', '--format', '{{.Names}}'))
          .split('\n')
          .filter(Boolean);
        const containers = name === this.here ? listed.filter((each) => each !== APP) : listed;
        const dirs = ['images', 'work', 'docker', 'docker-operations'].map((dir) =>
          path.join('run/holdfast', dir),
        );
        const files = [...dirs, 'var/lib/holdfast/docker/in-hand'].flatMap((dir) =>
          namesIn(path.join(rootDir, dir)).map((file) => `/${dir}/${file}`),
        );
        const programs = await this.sh(name, "pgrep -lx 'criu|runc' || true");
        return [...containers, ...files, ...programs.split('\n').filter(Boolean)].map(
          (one) => `${name}: ${one}`,
        );
      }),
    );
    return perHost.flat();
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#docker.down();
  }
}

function dockerSettings(settings: AgentSettings, others: readonly string[]): void {
  const container = { engine: 'docker', health: { path: '/health' } } as never;
  settings.containers = Object.fromEntries([APP, ...others].map((name) => [name, container]));
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
