import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { CRIU_OPTIONS, CRIU_OPTIONS_CONNECTED } from '../../criu/options.ts';
import { HoldfastError } from '../../errors.ts';
import { receiveTree } from '../../files/receive-tree.ts';
import { within } from '../../within.ts';
import { DumpMemory, type Workspace } from '../engine.ts';
import type { OciContainer } from '../oci/container.ts';
import { DESCRIPTORS } from '../oci/dump-args.ts';
import { keepInnerConnections, WITH_CONNECTIONS } from '../oci/inner-connections.ts';
import { restoreArgs } from '../oci/restore.ts';
import type { Hands } from './hands.ts';
import { receiveImage } from './image/receive-image.ts';
import type { ImageSpool } from './image/spool.ts';
import { type ContainerWord, What } from './leaving.ts';
import { mountAnew } from './overlay.ts';
import type { Places } from './places.ts';
import { putBack } from './restart-policy.ts';
import { type Announcement, announceRestore, forgetAnnouncement } from './runtime/announcement.ts';
import { RUNTIME } from './runtime/install.ts';
import type { AtStart } from './runtime/wrapper.ts';
import { type DockerApi, dockerApi } from './settings/docker-api.ts';
import { type DockerSettings, makeContainer, parseSettings, type VolumeLedger } from './settings/settings.ts';
import { type Tree, treesOf, WRITTEN } from './trees.ts';

/** A container on its way here. */
interface Arrival {
  imageId?: string;
  settings?: DockerSettings;
  /** What its first process had for stdin, stdout and stderr at its source. */
  descriptors?: readonly string[];
  id?: string;
  trees?: readonly Tree[];
  /** Where Docker mounts its file system. */
  mergedDir?: string | undefined;
  announcement?: Announcement;
  /** `docker start`, which waits for the restore and ends as that does. */
  started?: Promise<void> | undefined;
}

export interface ArrivingOptions {
  readonly docker: Docker;
  readonly hands: Hands;
  readonly ledger: VolumeLedger;
  readonly spool: ImageSpool;
  readonly places: Places;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/**
 * What `runc restore` has to be told besides, since it would set it otherwise; the rest is in CRIU's configuration file. That
 * a checkpoint has connections is known only when it is there: where CRIU is told to close them, it does.
 */
const RESTORE_FLAGS = ['--file-locks', ...WITH_CONNECTIONS];

const LONGEST_SETTINGS = 16 << 20;

/** Destination: containers that are being made of what comes, until they are for good. */
export class Arriving {
  readonly #options: ArrivingOptions;
  readonly #arrivals = new Map<string, Arrival>();

  constructor(options: ArrivingOptions) {
    this.#options = options;
  }

  /** Whether Docker waits for its restore: it does not answer for such a container until that has ended. */
  isWaiting(name: string): boolean {
    return this.#arrivals.get(name)?.started !== undefined;
  }

  /** From now on what is removed under this name is what was made for the move, and nothing else. */
  async expect(name: string): Promise<void> {
    await this.#options.hands.set(name, { role: 'arriving' });
    this.#arrivals.set(name, {});
  }

  async receive(name: string, what: string, stream: Duplex, signal: AbortSignal): Promise<void> {
    const arrival = this.#arrivalOf(name);
    if (what === What.image) {
      const { docker, spool } = this.#options;
      arrival.imageId = (await receiveImage(docker, spool, stream, signal)).imageId;
    } else if (what === What.container) {
      const { settings, descriptors } = (await jsonFrom(stream)) as Partial<ContainerWord>;
      arrival.descriptors = descriptors ?? [];
      await this.#make(name, arrival, parseSettings(settings), signal);
    } else {
      await this.#receiveFiles(arrival, what, stream, signal);
    }
  }

  /** Have Docker start it up to where CRIU would make its processes, and wait there for the images. */
  async standBy(name: string, workspace: Workspace, memory: DumpMemory, signal: AbortSignal): Promise<void> {
    const arrival = this.#arrivalOf(name);
    const { id, descriptors } = arrival;
    if (id === undefined || descriptors === undefined) throw notBrought(name);
    const lazily = memory === DumpMemory.leftInPlace ? ['--lazy-pages'] : [];
    const args = [...restoreArgs(workspace), ...RESTORE_FLAGS, ...lazily];
    await writeFile(descriptorsIn(workspace), JSON.stringify(descriptors), { mode: 0o600 });
    const announcement = await announceRestore(id, args, signal);
    arrival.announcement = announcement;
    const started = this.#api(signal).startContainer(id);
    arrival.started = started;
    const never = started.then(() => {
      throw new HoldfastError('RESTORE_FAILED', `Docker started ${name} afresh`, {
        mend: 'register the runtime anew: gateway agent install',
      });
    });
    never.catch(() => {}); // After the wait it is the restore's to tell.
    // Docker may have died: the runtime, which lives on, is not to restore what nobody waits for any more.
    started.catch(() => announcement.callOff()).catch(() => {});
    await Promise.race([announcement.waiting(signal), never]);
    await this.#options.places.learn(name, id);
  }

  /** Where its processes will be. Known from `standBy` on. */
  placeOf(name: string): OciContainer {
    return this.#options.places.known(name) ?? this.#throw(notBrought(name));
  }

  /**
   * Let runc restore, and Docker give it its network and let it go on.
   *
   * @returns what Docker said when that failed
   * @throws HoldfastError `CONTAINER_REMADE`
   */
  async restore(
    name: string,
    workspace: Workspace,
    options: { atStart: AtStart; signal: AbortSignal },
  ): Promise<{ code: number; said: string }> {
    const { announcement, started, descriptors } = this.#arrivalOf(name);
    if (announcement === undefined || started === undefined) throw notBrought(name);
    const { atStart, signal } = options;
    const dumped: unknown = JSON.parse(await readFile(descriptorsIn(workspace), 'utf8'));
    if (!isDeepStrictEqual(dumped, descriptors)) throw startedAnew(name);
    const connected = await keepInnerConnections(workspace.imagesDir);
    await announcement.restore({ criuOptions: connected ? CRIU_OPTIONS_CONNECTED : CRIU_OPTIONS, atStart });
    try {
      await within(started, signal);
      return { code: 0, said: '' };
    } catch (error) {
      if (signal.aborted) throw error;
      return { code: 1, said: (error as Error).message };
    }
  }

  /** Docker answers for it again. */
  restored(name: string): void {
    const arrival = this.#arrivals.get(name);
    if (arrival) arrival.started = undefined;
  }

  /** End the wait, if there is one. Settles when Docker answers for the container again. */
  async callOff(name: string, signal: AbortSignal): Promise<void> {
    const arrival = this.#arrivals.get(name);
    if (arrival === undefined) return;
    await arrival.announcement?.callOff();
    if (arrival.started !== undefined)
      await within(
        arrival.started.catch(() => {}),
        signal,
      );
    arrival.started = undefined;
  }

  /** Nothing is left of it here but what it is for the next one to find: its image, its volumes. */
  async forget(name: string, id: string | undefined): Promise<void> {
    this.#arrivals.delete(name);
    if (id !== undefined) await forgetAnnouncement(id);
    await this.#options.hands.clear(name);
  }

  /** It is for good: Docker is to restart it as it would have at its source. */
  async keep(name: string, signal: AbortSignal): Promise<void> {
    const { hands } = this.#options;
    const hand = await hands.get(name);
    if (hand?.role !== 'arriving') return;
    const { id, restartPolicy } = hand;
    if (id !== undefined && restartPolicy !== undefined) {
      await putBack(this.#api(signal), id, restartPolicy, signal);
    }
    this.#arrivals.delete(name);
    await hands.clear(name);
  }

  async #make(name: string, arrival: Arrival, settings: DockerSettings, signal: AbortSignal): Promise<void> {
    if (arrival.id !== undefined) return;
    if (arrival.imageId === undefined) throw notBrought(name);
    const { docker, hands, ledger } = this.#options;
    const options = { runtime: RUNTIME, imageId: arrival.imageId, ledger };
    const id = await makeContainer(docker, settings, options, signal);
    arrival.id = id;
    arrival.settings = settings;
    await hands.set(name, { role: 'arriving', id, restartPolicy: settings.restartPolicy });
    const api = this.#api(signal);
    const made = await api.container(id);
    if (made === undefined) throw notBrought(name);
    arrival.trees = await treesOf(api, made, settings.volumes);
    arrival.mergedDir = made.GraphDriver.Data?.MergedDir;
  }

  async #receiveFiles(arrival: Arrival, what: string, stream: Duplex, signal: AbortSignal): Promise<void> {
    const tree = arrival.trees?.find((each) => each.what === what);
    if (tree === undefined) throw notBrought(what);
    const { hasChanged } = await receiveTree(tree.dir, stream, { signal });
    // Docker has mounted it by now, for a restore to begin.
    const { mergedDir, started } = arrival;
    if (hasChanged && what === WRITTEN && mergedDir !== undefined && started !== undefined)
      await mountAnew(mergedDir, signal);
  }

  #arrivalOf(name: string): Arrival {
    return this.#arrivals.get(name) ?? this.#throw(notBrought(name));
  }

  #throw(error: HoldfastError): never {
    throw error;
  }

  #api(signal: AbortSignal): DockerApi {
    return dockerApi(this.#options.docker, signal);
  }
}

function descriptorsIn({ imagesDir }: Workspace): string {
  return join(imagesDir, DESCRIPTORS);
}

/** runc was told of others ahead: what the app says would go nowhere. */
function startedAnew(name: string): HoldfastError {
  return new HoldfastError('CONTAINER_REMADE', `${name} was started anew while its move was under way`, {
    mend: 'migrate again',
    retryable: true,
  });
}

function notBrought(what: string): HoldfastError {
  return new HoldfastError('RESTORE_FAILED', `nothing of ${what} was brought here`, {
    mend: 'migrate again',
  });
}

async function jsonFrom(stream: Duplex): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > LONGEST_SETTINGS) throw new HoldfastError('REQUEST_INVALID', 'settings without end');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
