import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { anySignal } from '../../any-signal.ts';
import { HoldfastError } from '../../errors.ts';
import { mappedBelow, mappedBy } from '../../files/mapped-files.ts';
import { MovingTree, type PassOptions } from '../../files/moving-tree.ts';
import { flush } from '../../files/shared-storage.ts';
import { Traffic } from '../../transfer/traffic.ts';
import type { CarriedBytes, Carrier, Workspace } from '../engine.ts';
import type { OciContainer } from '../oci/container.ts';
import { type Hands, NEVER } from './hands.ts';
import { sendThroughBreaks } from './image/send-through-breaks.ts';
import { putBack } from './restart-policy.ts';
import { type DockerApi, dockerApi } from './settings/docker-api.ts';
import type { Inspected } from './settings/inspected.ts';
import {
  type DockerSettings,
  describe,
  leaveVolumes,
  type Storage,
  type VolumeLedger,
} from './settings/settings.ts';
import type { SharedStorage } from './storage.ts';
import { type Tree, treesOf, WRITTEN } from './trees.ts';

/** Streams besides those of the trees. */
export const What = { image: 'image', container: 'container' } as const;

/** Longer than any hold lasts, and the pass after it. */
const READY_MS = 600_000;

/** What is said of a container on its stream, in JSON. */
export interface ContainerWord {
  readonly settings: DockerSettings;
  /** As in runc's record of it: a restore that is begun ahead is told of them. */
  readonly descriptors: readonly string[];
}

/** A container on its way to another host. */
interface Leave {
  readonly migrationId: string;
  readonly id: string;
  readonly settings: DockerSettings;
  readonly trees: ReadonlyMap<Tree, MovingTree>;
  /** Of storage that both hosts have: what is still in this one's cache is to be there for the other. */
  readonly sharedDirs: readonly string[];
  /** Whether there is a container at the destination that its files can be put into. */
  madeThere: boolean;
}

export interface LeavingOptions {
  readonly docker: Docker;
  readonly hands: Hands;
  readonly ledger: VolumeLedger;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Docker's name for a container. */
  readonly dockerName: (name: string) => string;
  readonly processes: (name: string) => Promise<readonly number[]>;
  /** What its first process has for stdin, stdout and stderr, as runc records it. */
  readonly descriptors: (name: string, signal: AbortSignal) => Promise<readonly string[]>;
  /** What agent.yaml says of its mounts. */
  readonly storage: (name: string) => Storage;
  readonly sharedStorage: SharedStorage;
}

/** Source: what containers bring along. */
export class Leaving {
  readonly #options: LeavingOptions;
  readonly #leaves = new Map<string, Leave>();

  constructor(options: LeavingOptions) {
    this.#options = options;
  }

  /**
   * Its image, so far as it is not there, then the container, made of that, then its files. Last Docker is told not to
   * restart it: it would be a second instance, should the host fail between the commit and its removal.
   */
  async sendAhead(
    name: string,
    workspace: Workspace,
    carrier: Carrier,
    signal: AbortSignal,
  ): Promise<CarriedBytes> {
    const { docker, hands, sharedStorage } = this.#options;
    await sharedStorage.confirm(name);
    const leave = await this.#leave(name, workspace, signal);
    let layerBytes = 0;
    if (!leave.madeThere) {
      const open = (signal: AbortSignal) => carrier.open(What.image, signal, Traffic.layers);
      layerBytes = (await sendThroughBreaks(docker, leave.settings.imageId, open, signal)).bytesSent;
      const container = await carrier.open(What.container, signal);
      const descriptors = await this.#options.descriptors(name, signal);
      const word: ContainerWord = { settings: leave.settings, descriptors };
      container.end(JSON.stringify(word));
      await Promise.all([text(container), finished(container)]);
      leave.madeThere = true;
    }
    const fileBytes = await passAll(leave, carrier, { running: true, signal }, []);
    const { id, settings } = leave;
    await hands.set(name, { role: 'leaving', id, restartPolicy: settings.restartPolicy });
    await this.#api(signal).updateContainer(id, { RestartPolicy: NEVER });
    return { layerBytes, fileBytes };
  }

  /** The files that have changed since; then both ends have the last pass begin, and wait for what it is to bring. */
  async getReady(
    name: string,
    workspace: Workspace,
    carrier: Carrier,
    signal: AbortSignal,
  ): Promise<CarriedBytes> {
    const leave = await this.#leave(name, workspace, signal);
    const fileBytes = await passAll(leave, carrier, { running: true, briefly: true, signal }, []);
    const until = anySignal([signal, AbortSignal.timeout(READY_MS)]);
    await allOver(
      [...leave.trees].map(([{ what }, tree]) => tree.getReady(() => carrier.open(what, until), until)),
    );
    return { layerBytes: 0, fileBytes };
  }

  async sendRest(
    name: string,
    workspace: Workspace,
    carrier: Carrier,
    signal: AbortSignal,
  ): Promise<CarriedBytes> {
    const leave = await this.#leave(name, workspace, signal);
    const pids = await this.#options.processes(name);
    return { layerBytes: 0, fileBytes: await passAll(leave, carrier, { running: false, signal }, pids) };
  }

  /**
   * Before it is frozen: settings and files that are at the destination by now are of the container that had the name then.
   *
   * @throws HoldfastError `CONTAINER_REMADE`
   */
  async confirm(name: string, { id }: Pick<OciContainer, 'id'>): Promise<void> {
    const hand = await this.#options.hands.get(name);
    if (hand?.role !== 'leaving' || hand.id === id) return;
    throw new HoldfastError('CONTAINER_REMADE', `${name} was made anew while its move was under way`, {
      mend: 'migrate again',
      retryable: true,
    });
  }

  /** It is about to be removed, and may come back. */
  async farewell(name: string, signal: AbortSignal): Promise<void> {
    const { docker, ledger, dockerName, storage } = this.#options;
    // An agent that was started anew meanwhile has to ask once more.
    const known = this.#leaves.get(name) ?? (await describe(docker, dockerName(name), signal, storage(name)));
    await leaveVolumes(docker, known.settings, ledger, signal);
  }

  /** What is still here stays, and Docker is to restart it as before. */
  async letGo(name: string, signal: AbortSignal): Promise<void> {
    const { hands, log } = this.#options;
    for (const tree of this.#leaves.get(name)?.trees.values() ?? []) {
      await tree
        .close()
        .catch((err: unknown) => log.warn({ container: name, err }, 'files are still watched'));
    }
    this.#leaves.delete(name);
    const hand = await hands.get(name);
    if (hand?.role !== 'leaving') return;
    const api = this.#api(signal);
    await putBack(api, hand.id, hand.restartPolicy, signal);
    await hands.clear(name);
  }

  async #leave(name: string, { migrationId, workDir }: Workspace, signal: AbortSignal): Promise<Leave> {
    const known = this.#leaves.get(name);
    if (known?.migrationId === migrationId) return known;
    await this.letGo(name, signal); // Of a migration that was never ended here.
    const { docker, dockerName, log, storage } = this.#options;
    const api = this.#api(signal);
    const { settings } = await describe(docker, dockerName(name), signal, storage(name));
    const found = await api.container(settings.shape.name);
    if (found === undefined) throw new HoldfastError('CONTAINER_NOT_RUNNING', `${name} is absent here`);
    const trees = new Map<Tree, MovingTree>();
    const sharedDirs = mountedFrom(found, settings);
    const leave = { migrationId, id: found.Id, settings, trees, sharedDirs, madeThere: false };
    try {
      for (const tree of await treesOf(api, found, settings.volumes)) {
        // Of what is written by way of an overlay nobody is told who watches the layer.
        const walk = tree.what === WRITTEN;
        trees.set(tree, await MovingTree.open(tree.dir, { log, signal, walk, scratchDir: workDir }));
      }
    } catch (error) {
      for (const tree of trees.values()) await tree.close().catch(() => {});
      throw error;
    }
    this.#leaves.set(name, leave); // With all of its trees, or none.
    return leave;
  }

  #api(signal: AbortSignal): DockerApi {
    return dockerApi(this.#options.docker, signal);
  }
}

/** The shared storage of a container, by the paths of this host. */
function mountedFrom({ Mounts }: Inspected, { shape, volumes }: DockerSettings): string[] {
  const binds = new Set(shape.binds.filter(({ shared }) => shared).map(({ source }) => source));
  const names = new Set(volumes.filter(({ shared }) => shared).map(({ name }) => name));
  return (Mounts ?? [])
    .filter(({ Name = '', Source }) => binds.has(Source) || names.has(Name))
    .map(({ Source }) => Source);
}

/**
 * Each tree is sent, and what is on shared storage is flushed to it: ahead too, so that little is left for the freeze.
 *
 * @param pids whose mapped files go along, changed or not: of what is written to those nobody is told
 * @returns what was put on the link
 */
async function passAll(
  { trees, sharedDirs }: Leave,
  carrier: Carrier,
  options: PassOptions,
  pids: readonly number[],
): Promise<number> {
  const mapped = await mappedBy(pids);
  const passes = [...trees].map(async ([{ what, dir, inside }, tree]) => {
    const also = inside.flatMap((at) => [...mappedBelow(dir, at, mapped)]);
    return tree.pass(() => carrier.open(what, options.signal), { ...options, also });
  });
  const flushes = sharedDirs.map(async (dir) => {
    await flush(dir, options.signal);
    return { sentBytes: 0 };
  });
  const crossed = await allOver([...passes, ...flushes]);
  return crossed.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
}

/** All are over before anything else is done with what they are about, also when one has failed. */
async function allOver<T>(works: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}
