import { createDockerLab, type DockerLab, type LabDocker } from '../../test/lab/docker.ts';
import type { LabHost, Link } from '../../test/lab/lab.ts';
import { APP_PORT, appContainer, FRONT_PORT } from '../../test/system/configs.ts';
import { installRuntime } from '../../test/system/docker-system.ts';
import { type System, startSystem } from '../../test/system/system.ts';
import { healthy, shell } from '../plain/hand.ts';
import { LinkMeter } from '../plain/link-meter.ts';
import {
  BASE_IMAGE,
  COMMAND,
  environment,
  IMAGE,
  MIB,
  mountPoint,
  NAME,
  type Scenario,
  VOLUMES,
  volumeDir,
} from './scenario.ts';

/** Longer than anybody would want to hold, so that the slowest way is measured rather than called off. */
const HOLD_MS = 240_000;
/** The app of the runc engine that the moves of Docker are held against, and the Host header it is known by. */
export const RUNC_APP = 'memory';
export const RUNC_HOST = 'memory.test';
/** Both are up at once. */
const RUNC_PORT = APP_PORT + 1;
const SCRIPTS = '/opt/holdfast/bench/transfer/app';
/** On the disk that has Docker's files, too. */
const TEMPLATE = '/var/lib/holdfast-disk/volumes';
/** Layers that an app has of its own: what it depends on, and itself. Files as a tree of packages has them. */
const LAYERS = [
  { dir: '/srv/node_modules', share: 0.85, bytesPerFile: 12_000 },
  { dir: '/srv/dist', share: 0.15, bytesPerFile: 24_000 },
];
const LEAST_OWN_MIB = 32;

/** Two hosts with Docker and agents, a gateway in front, and on host a all that the app is made of. */
export class Stage {
  readonly system: System;
  readonly a: LabHost;
  readonly b: LabHost;
  readonly meter: LinkMeter;
  readonly scenario: Scenario;
  readonly #docker: DockerLab;

  private constructor(system: System, docker: DockerLab, meter: LinkMeter, scenario: Scenario) {
    this.system = system;
    this.#docker = docker;
    this.a = docker.lab.host('a');
    this.b = docker.lab.host('b');
    this.meter = meter;
    this.scenario = scenario;
  }

  /** Whoever opens it closes it. */
  static async open(options: {
    readonly scenario: Scenario;
    readonly signal: AbortSignal;
    readonly log: (line: string) => void;
  }): Promise<Stage> {
    const { scenario, signal, log } = options;
    const docker = await createDockerLab({ experimental: true, signal, log });
    let system: System | undefined;
    try {
      const hosts = ['a', 'b'].map((host) => docker.on(host));
      await Promise.all(hosts.map(installRuntime));
      system = await startSystem({
        lab: docker.lab,
        idle: true,
        signal,
        gateway(settings) {
          settings.apps = {
            [RUNC_APP]: { match: [{ host: RUNC_HOST }], container: RUNC_APP, hold: { maxMs: HOLD_MS } },
            [NAME]: { match: [{ path: '/' }], container: NAME, hold: { maxMs: HOLD_MS } },
          };
        },
        agent(settings) {
          const plain = appContainer({ memoryMib: scenario.memoryMib });
          settings.containers = {
            [NAME]: { engine: 'docker', health: { path: '/health' } } as never,
            [RUNC_APP]: { ...plain, port: RUNC_PORT, env: { ...plain.env, PORT: String(RUNC_PORT) } },
          };
        },
      });
      const meter = await LinkMeter.between(docker.lab.host('a'), docker.lab.host('b'));
      const stage = new Stage(system, docker, meter, scenario);
      log(`making the image and ${scenario.files.toLocaleString('en')} files`);
      await stage.#makeImage(signal);
      await stage.#makeTemplate(signal);
      return stage;
    } catch (error) {
      await system?.stop();
      await docker.down();
      throw error;
    }
  }

  docker(host: LabHost): LabDocker {
    return this.#docker.on(host.name);
  }

  /** Where a front of one's own may listen. */
  get front(): { host: string; port: number } {
    return { host: this.system.lab.gatewayAddress, port: FRONT_PORT + 1 };
  }

  setLink(link: Link): Promise<void> {
    return this.system.lab.setLink(link);
  }

  async imageBytes(image: string): Promise<number> {
    return Number(await this.docker(this.a).docker('image', 'inspect', '-f', '{{.Size}}', image));
  }

  /** The app on host a as its users have it: settles when it answers, and all it was made of is on the disk. */
  async startApp(network: readonly string[], signal: AbortSignal): Promise<void> {
    const { a } = this;
    const fill = VOLUMES.map(
      (volume) => `docker volume create ${volume} && cp -a ${TEMPLATE}/${volume}/. ${volumeDir(volume)}/`,
    );
    await shell(a, [...fill, 'sync'].join(' && '), signal);
    await this.makeContainer(a, network);
    await this.docker(a).docker('start', NAME);
    await healthy(a, signal);
  }

  /** `docker create`, as it is on either host. */
  async makeContainer(host: LabHost, network: readonly string[]): Promise<void> {
    const env = Object.entries(environment(this.scenario)).flatMap(([name, value]) => [
      '-e',
      `${name}=${value}`,
    ]);
    const volumes = VOLUMES.flatMap((volume) => ['-v', `${volume}:${mountPoint(volume)}`]);
    await this.docker(host).docker('create', '--name', NAME, ...network, ...env, ...volumes, IMAGE);
  }

  /**
   * Nothing of the app is on either host any more, but for its image on host a and the base of that on b.
   */
  async clear(signal: AbortSignal): Promise<void> {
    const volumes = `docker volume rm -f ${VOLUMES.join(' ')}`;
    const clear = (host: LabHost, more: string) =>
      shell(host, `docker rm -f ${NAME}; ${volumes}; ${more}; true`, signal);
    await Promise.all([clear(this.a, ':'), clear(this.b, `docker image rm -f ${IMAGE}`)]);
  }

  /** @throws when the volumes on a host have other files than they were made with, or the app says they were not its own */
  async checkFiles(host: LabHost, signal: AbortSignal): Promise<void> {
    const { files, volumesMib } = this.scenario;
    const count = `find ${VOLUMES.map(volumeDir).join(' ')} -type f -printf '%s\\n' | awk '{ n += $1 } END { print NR, n }'`;
    const { stdout } = await shell(host, count, signal);
    const expected = `${files} ${volumesMib * MIB}`;
    if (stdout.trim() !== expected) {
      throw new Error(`the files and bytes on ${host.name} are ${stdout.trim()}, not ${expected}`);
    }
    const { stdout: said } = await shell(host, `docker logs ${NAME} 2>&1`, signal);
    const damaged = said.split('\n').find((line) => line.startsWith('DAMAGED'));
    if (damaged !== undefined) throw new Error(damaged);
  }

  async close(): Promise<void> {
    await this.system.stop();
    await this.#docker.down();
  }

  /** As its user would without a Dockerfile: run something on the base, and commit what that has written. */
  async #makeImage(signal: AbortSignal): Promise<void> {
    const ownBytes = Math.max(
      this.scenario.imageMib * MIB - (await this.imageBytes(BASE_IMAGE)),
      LEAST_OWN_MIB * MIB,
    );
    let below = BASE_IMAGE;
    for (const [nth, { dir, share, bytesPerFile }] of LAYERS.entries()) {
      const bytes = Math.round(ownBytes * share);
      const made = nth === LAYERS.length - 1 ? IMAGE : `shop-layer:${nth + 1}`;
      const make = `/usr/bin/node /srv/make-files.mjs ${dir} ${Math.ceil(bytes / bytesPerFile)} ${bytes} ${nth + 1}`;
      await shell(
        this.a,
        `set -e
         docker create --name make ${below} ${make}
         docker cp ${SCRIPTS}/. make:/srv/
         docker start -a make
         docker commit --change 'CMD ${JSON.stringify(COMMAND)}' make ${made}
         docker rm make`,
        signal,
      );
      below = made;
    }
  }

  async #makeTemplate(signal: AbortSignal): Promise<void> {
    const { files, volumesMib } = this.scenario;
    const parts = partsOf(files).map((part, nth) => ({ part, bytes: partsOf(volumesMib * MIB)[nth] ?? 0 }));
    const make = parts.map(
      ({ part, bytes }, nth) =>
        `node ${SCRIPTS}/make-files.mjs ${TEMPLATE}/${VOLUMES[nth]} ${part} ${bytes} ${nth + 10}`,
    );
    await shell(this.a, make.join(' && '), signal);
  }
}

/** A number among the volumes, none of it lost. */
function partsOf(whole: number): number[] {
  const each = Math.floor(whole / VOLUMES.length);
  return VOLUMES.map((_, nth) => (nth === 0 ? whole - each * (VOLUMES.length - 1) : each));
}
