import { text } from 'node:stream/consumers';
import type Docker from 'dockerode';
import { HoldfastError } from '../../../errors.ts';
import type {
  EngineInfo,
  Inspected,
  InspectedImage,
  InspectedNetwork,
  InspectedVolume,
  ListedContainer,
} from './inspected.ts';

/** What is asked of a Docker Engine about settings. The one place that knows how its client is to be handled. */
export interface DockerApi {
  info(): Promise<EngineInfo>;
  container(name: string): Promise<Inspected | undefined>;
  image(name: string): Promise<InspectedImage | undefined>;
  network(name: string): Promise<InspectedNetwork | undefined>;
  volume(name: string): Promise<InspectedVolume | undefined>;
  networks(): Promise<InspectedNetwork[]>;
  /** Also those that do not run, unless the filters say otherwise. */
  containers(filters?: Readonly<Record<string, readonly string[]>>): Promise<ListedContainer[]>;
  exec(id: string): Promise<ExecSession | undefined>;
  createNetwork(body: Readonly<Record<string, unknown>>): Promise<void>;
  createVolume(body: Readonly<Record<string, unknown>>): Promise<void>;
  createContainer(name: string, body: Readonly<Record<string, unknown>>): Promise<string>;
  removeContainer(id: string): Promise<void>;
  /** Settles when Docker has started it, whatever becomes of the signal. */
  startContainer(id: string): Promise<void>;
  updateContainer(id: string, body: Readonly<Record<string, unknown>>): Promise<void>;
  /** Whether somebody has stopped or killed it since, as far as dockerd remembers: no longer than it runs itself. */
  wasEndedByHand(id: string, since: string): Promise<boolean>;
}

export interface ExecSession {
  readonly Running: boolean;
  readonly ProcessConfig: { readonly entrypoint: string; readonly arguments: readonly string[] | null };
}

const NOT_FOUND = 404;
const CONFLICT = 409;

/** @param signal bounds every single answer */
export function dockerApi(docker: Docker, signal: AbortSignal): DockerApi {
  const options = { abortSignal: signal };
  const ask = <T>(what: string, answer: Promise<unknown>) => answered<T>(what, answer, signal);
  const find = async <T>(what: string, answer: Promise<unknown>): Promise<T | undefined> => {
    const found = answer.catch((error: { statusCode?: number }) => {
      if (error.statusCode === NOT_FOUND) return undefined;
      throw error;
    });
    return ask<T | undefined>(what, found);
  };
  // The client's types leave out that these take options too.
  const inspect = (object: { inspect(): Promise<unknown> }) =>
    (object.inspect as (options: object) => Promise<unknown>).call(object, options);
  const info = () => (docker.info as (options: object) => Promise<unknown>).call(docker, options);
  return {
    info: () => ask('tell of itself', info()),
    container: (name) => find(`inspect ${name}`, inspect(docker.getContainer(name))),
    image: (name) => find(`inspect the image ${name}`, inspect(docker.getImage(name))),
    network: (name) => find(`inspect the network ${name}`, inspect(docker.getNetwork(name))),
    volume: (name) => find(`inspect the volume ${name}`, inspect(docker.getVolume(name))),
    exec: (id) => find('inspect an exec session', inspect(docker.getExec(id))),
    networks: () => ask('list its networks', docker.listNetworks(options)),
    containers: (filters = {}) =>
      ask(
        'list its containers',
        docker.listContainers({ all: true, filters: filters as Record<string, string[]>, ...options }),
      ),
    async createNetwork(body) {
      const options = bodyOnly<Docker.NetworkCreateOptions>(body, signal);
      await ask(`make the network ${body.Name}`, docker.createNetwork(options));
    },
    async createVolume(body) {
      const options = bodyOnly<Docker.VolumeCreateOptions>(body, signal);
      await ask(`make the volume ${body.Name}`, docker.createVolume(options));
    },
    async createContainer(name, body) {
      const options = bodyOnly<Docker.ContainerCreateOptions>(body, signal, { name });
      const created = await ask<Docker.Container>(
        `make the container ${name}`,
        docker.createContainer(options),
      );
      return created.id;
    },
    async startContainer(id) {
      await ask(`start the container ${id}`, docker.getContainer(id).start());
    },
    async updateContainer(id, body) {
      const options = bodyOnly<object>(body, signal);
      await ask(`update the container ${id}`, docker.getContainer(id).update(options));
    },
    async wasEndedByHand(id, since) {
      const filters = { container: [id], event: ['kill', 'stop'] };
      const times = { since: Date.parse(since) / 1000, until: Date.now() / 1000 };
      const told = docker.getEvents({ ...times, filters, ...options }).then(text);
      return (await ask<string>(`tell what was done to ${id}`, told)) !== '';
    },
    async removeContainer(id) {
      const container = docker.getContainer(id);
      const removed = container
        .remove({ force: true, ...options })
        .catch((error: { statusCode?: number }) => {
          // Docker is at it already, as with `--rm` as soon as its processes have ended.
          if (error.statusCode !== CONFLICT) throw error;
          return container.wait({ condition: 'removed', ...options });
        });
      await find(`remove the container ${id}`, removed);
    },
  };
}

/** Left to itself, the client puts all of it into the URL as well: passwords, where the engine logs URLs. */
function bodyOnly<T>(body: object, abortSignal: AbortSignal, query: Record<string, string> = {}): T {
  return { _query: query, _body: body, abortSignal } as T;
}

/** @throws `DOCKER_REFUSED`, `DOCKER_UNREACHABLE`, `DEADLINE` */
async function answered<T>(what: string, answer: Promise<unknown>, signal: AbortSignal): Promise<T> {
  try {
    return (await answer) as T;
  } catch (error) {
    if (signal.aborted) {
      throw new HoldfastError('DEADLINE', `Docker took too long to ${what}`, { retryable: true });
    }
    const { statusCode, json } = error as { statusCode?: number; json?: { message?: string } };
    const said = json?.message ?? (error instanceof Error ? error.message : String(error));
    if (statusCode === undefined) {
      throw new HoldfastError('DOCKER_UNREACHABLE', `the Docker Engine does not answer: ${said}`, {
        mend: 'see that dockerd runs',
        retryable: true,
      });
    }
    // The client's error is no cause of ours: it may hold the whole answer.
    throw new HoldfastError('DOCKER_REFUSED', `Docker would not ${what}: ${said}`);
  }
}
