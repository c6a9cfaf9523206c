import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import type { Logger } from 'pino';
import { HoldfastError } from '../../errors.ts';
import { within } from '../../within.ts';
import { configured, notConfigured } from '../configured.ts';
import { type Belongings, ContainerState, type Engine, type Workspace } from '../engine.ts';
import { dump, freeze, resume, sumMemory, sumMemoryRanges, thaw } from '../oci/checkpoint.ts';
import type { OciContainer } from '../oci/container.ts';
import { waitHealthy } from '../oci/health.ts';
import { processStart } from '../oci/processes.ts';
import { restoreWatched } from '../oci/restore.ts';
import { aliveState, readState } from '../oci/state.ts';
import { Arriving } from './arriving.ts';
import type { DockerContainer } from './config.ts';
import { Hands } from './hands.ts';
import { ImageSpool } from './image/spool.ts';
import { Leaving } from './leaving.ts';
import { ownTmpfs } from './own-tmpfs.ts';
import { Places } from './places.ts';
import { admitDocker, examineDocker } from './preflight.ts';
import { publishedAt } from './published.ts';
import { killProcesses, killRestore, removeContainer } from './removal.ts';
import { AtStart } from './runtime/wrapper.ts';
import { dockerApi } from './settings/docker-api.ts';
import type { Inspected } from './settings/inspected.ts';
import { VolumeLedger } from './settings/settings.ts';
import { SharedStorage } from './storage.ts';
import { strangersIn } from './strangers.ts';

export interface DockerEngineOptions {
  readonly containers: Readonly<Record<string, DockerContainer>>;
  readonly socket: string;
  /** On tmpfs. */
  readonly runDir: string;
  /** Outlives a restart of the host. */
  readonly stateDir: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/** For cleaning up after a failure, when the caller's own deadline may be over. */
const CLEANUP_TIMEOUT_MS = 10_000;
const STRANGERS_PAUSE_MS = 20;

/** Containers of a stock Docker Engine, moved by CRIU. See docs/docker.md. */
export function createDockerEngine(options: DockerEngineOptions): Engine {
  const { containers, log } = options;
  const docker = new Docker({ socketPath: options.socket });
  const stateDir = join(options.stateDir, 'docker');
  const hands = new Hands(join(stateDir, 'in-hand'));
  const ledger = new VolumeLedger(join(stateDir, 'volumes.json'));
  const spool = new ImageSpool(join(stateDir, 'image-spool'));
  const operationDir = join(options.runDir, 'docker-operations');
  const places = new Places(operationDir);
  const configOf = (name: string) => configured(containers, name);
  const dockerName = (name: string) => configOf(name).container ?? name;
  const processes = async (name: string) => {
    const place = places.existing(name) ?? (await placeOf(name, soon()).catch(() => undefined));
    return place ? (await readState(place)).cgroup.pids() : [];
  };
  const descriptors = async (name: string, signal: AbortSignal) =>
    (await aliveState(await placeOf(name, signal))).record.external_descriptors ?? [];
  const sharedStorage = new SharedStorage();
  const storage = (name: string) => configOf(name).storage;
  const leaving = new Leaving({
    ...{ docker, hands, ledger, log, dockerName, processes, descriptors, storage, sharedStorage },
  });
  const arriving = new Arriving({ docker, hands, ledger, spool, places, log });

  const find = (name: string, signal: AbortSignal) => dockerApi(docker, signal).container(dockerName(name));
  /** @throws HoldfastError `CONTAINER_NOT_RUNNING` */
  const placeOf = async (name: string, signal: AbortSignal): Promise<OciContainer> => {
    if (arriving.isWaiting(name)) return arriving.placeOf(name);
    const known = places.existing(name);
    if (known) return known;
    const found = await find(name, signal);
    if (found !== undefined && found.State.Pid !== 0) return places.learn(name, found.Id);
    throw new HoldfastError('CONTAINER_NOT_RUNNING', `${name} is ${found?.State.Status ?? 'absent'} here`, {
      mend: 'start it, or look for it on another host',
    });
  };
  const soon = () => AbortSignal.timeout(CLEANUP_TIMEOUT_MS);
  const portOf = (name: string, found: Inspected | undefined) =>
    configOf(name).port ?? (found && publishedAt(found)?.port);

  const waitUntilHealthy = async (name: string, signal: AbortSignal) => {
    const { initPid } = await aliveState(await placeOf(name, signal));
    const start = processStart(initPid);
    const found = await find(name, signal);
    const app = {
      ...configOf(name),
      port: portOf(name, found) ?? 0,
      address: found && publishedAt(found)?.address,
    };
    await waitHealthy(app, () => start !== 0 && processStart(initPid) === start, signal);
  };

  const remove = async (name: string, signal: AbortSignal) => {
    const hand = await hands.get(name);
    if (hand?.role === 'arriving') {
      await discard(name, signal);
      return;
    }
    await removeContainer(docker, { name, dockerName: dockerName(name), places }, hand, signal);
    await hands.clear(name);
  };

  async function discard(name: string, signal: AbortSignal): Promise<void> {
    const hand = await hands.get(name);
    if (hand?.role !== 'arriving') return; // Nothing was made here; whatever has the name is another's.
    if (hand.id !== undefined) {
      await killRestore(hand.id);
      await killProcesses(places, name, hand.id, signal);
    }
    await arriving.callOff(name, signal);
    await removeContainer(docker, { name, dockerName: dockerName(name), places }, hand, signal);
    await arriving.forget(name, hand.id);
  }

  async function restore(
    name: string,
    workspace: Workspace,
    atStart: AtStart,
    signal: AbortSignal,
  ): Promise<void> {
    await restoreWatched(
      workspace,
      (until) => arriving.restore(name, workspace, { atStart, signal: until }),
      {
        cleanUp: async () => {
          await discard(name, soon()).catch((err: unknown) => {
            log.warn({ container: name, err }, 'cleaning up after a failure failed itself');
          });
        },
        signal,
      },
    );
    arriving.restored(name);
  }

  const belongings: Belongings = {
    async sendAhead(name, workspace, carrier, signal) {
      await arriving.keep(name, signal); // Of the move that brought it here, where Docker could not be told then.
      return leaving.sendAhead(name, workspace, carrier, signal);
    },
    getReady: (name, workspace, carrier, signal) => leaving.getReady(name, workspace, carrier, signal),
    sendRest: (name, workspace, carrier, signal) => leaving.sendRest(name, workspace, carrier, signal),
    receive: (name, _workspace, what, stream, signal) => arriving.receive(name, what, stream, signal),
    standBy: (name, workspace, memory, signal) => arriving.standBy(name, workspace, memory, signal),
    keep: (name, signal) => arriving.keep(name, signal),
    letGo: (name, signal) => leaving.letGo(name, signal),
  };

  return {
    name: 'docker',
    belongings,
    containers: () => Object.keys(containers),

    async status(name, signal) {
      const told = { name, engine: 'docker' };
      if (arriving.isWaiting(name)) return { ...told, state: ContainerState.absent, port: 0 };
      const found = await find(name, signal);
      const port = portOf(name, found) ?? 0;
      if (found === undefined) return { ...told, state: ContainerState.absent, port };
      if (found.State.Pid === 0) return { ...told, state: ContainerState.stopped, port };
      return { ...told, state: (await readState(await placeOf(name, signal))).state, port };
    },

    async start(name, signal) {
      const found = await find(name, signal);
      if (found === undefined) {
        throw new HoldfastError('START_FAILED', `Docker has no container ${dockerName(name)} here to start`, {
          mend: 'make it with docker run or docker compose',
        });
      }
      if (found.State.Pid !== 0) {
        throw new HoldfastError('CONTAINER_EXISTS', `${name} is ${found.State.Status} here already`, {
          mend: 'remove it first',
        });
      }
      await within(dockerApi(docker, signal).startContainer(found.Id), signal);
      await waitUntilHealthy(name, signal);
      log.info({ container: name }, 'container started');
    },

    async remove(name, signal) {
      const hand = await hands.get(name);
      if (hand?.role === 'leaving') {
        await leaving.farewell(name, signal).catch((err: unknown) => {
          log.warn({ container: name, err }, 'its volumes here will not be known when it comes back');
        });
      }
      await remove(name, signal);
    },

    discard,

    async examine(name, signal) {
      await mkdir(operationDir, { recursive: true, mode: 0o700 }); // For the dump: before the freeze.
      const app = { name, dockerName: dockerName(name), sharedStorage, ...configOf(name) };
      return examineDocker(docker, app, await placeOf(name, signal), signal);
    },

    async admit(name, footprint, imagesDir, signal) {
      if (!Object.hasOwn(containers, name)) return [notConfigured(name)];
      const app = { name, dockerName: dockerName(name) };
      return admitDocker(docker, app, ledger, footprint, imagesDir, signal);
    },

    async prepare(name, _workspace, signal) {
      const found = await find(name, signal);
      if (found !== undefined) {
        throw new HoldfastError(
          'CONTAINER_EXISTS',
          `Docker has a container ${dockerName(name)} here already`,
          {
            mend: 'docker rm it, or make it the one that is served',
          },
        );
      }
      await arriving.expect(name);
    },

    processes,
    cgroupDir: async (name) => (await readState(await placeOf(name, soon()))).cgroup.dir,

    async freeze(name, signal) {
      const place = await placeOf(name, signal);
      await leaving.confirm(name, place);
      for (;;) {
        await freeze(place, signal);
        const { cgroup, initPid } = await readState(place);
        const strangers = await strangersIn(cgroup, initPid);
        if (strangers.length === 0) return;
        await cgroup.thaw(signal);
        await sleep(STRANGERS_PAUSE_MS);
        if (signal.aborted) throw execOpen(name, strangers);
      }
    },

    thaw: async (name, signal) => thaw(await placeOf(name, signal), signal),

    dump: async (name, workspace, memory, signal) =>
      dump(await placeOf(name, signal), workspace, memory, signal),

    restore: (name, workspace, _memory, signal) => restore(name, workspace, AtStart.resume, signal),

    async restoreFrozen(name, workspace, _memory, signal) {
      await restore(name, workspace, AtStart.stay, signal);
      // Stopped they are, but whoever sends SIGCONT could change that.
      await freeze(await placeOf(name, signal), signal);
    },

    resume: async (name, signal) => resume(await placeOf(name, signal), signal),
    sumMemory: async (name, workspace, signal) => {
      const place = await placeOf(name, signal);
      return sumMemory(place, workspace, await sumOptions(place, signal));
    },
    sumRanges: async (name, workspace, pid, signal) => {
      const place = await placeOf(name, signal);
      return sumMemoryRanges(place, workspace, pid, await sumOptions(place, signal));
    },

    healthy: waitUntilHealthy,
  };

  async function sumOptions(place: OciContainer, signal: AbortSignal) {
    return { ownMounts: await ownTmpfs((await readState(place)).initPid), signal };
  }
}

function execOpen(name: string, pids: readonly number[]): HoldfastError {
  return new HoldfastError(
    'EXEC_OPEN',
    `processes ${pids.join(', ')} of ${name} did not come of its first one, and cannot come along`,
    { mend: 'end what docker exec has started in it, and migrate again', retryable: true },
  );
}
