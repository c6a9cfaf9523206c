import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { HoldfastError } from '../../errors.ts';
import { configured, notConfigured } from '../configured.ts';
import { ContainerState, DumpMemory, type Engine, type Workspace } from '../engine.ts';
import { admitContainer } from '../oci/admit.ts';
import { dump, freeze, LEAVE_STOPPED, resume, sumMemory, sumMemoryRanges, thaw } from '../oci/checkpoint.ts';
import { portTaken } from '../oci/connections.ts';
import type { OciContainer } from '../oci/container.ts';
import { examineContainer } from '../oci/examine.ts';
import { waitHealthy } from '../oci/health.ts';
import { HeldRestore } from '../oci/held-restore.ts';
import { OnAbort } from '../oci/operation.ts';
import { processStart } from '../oci/processes.ts';
import { restoreArgs, restoreWatched } from '../oci/restore.ts';
import { runc } from '../oci/runc.ts';
import { aliveState, readState } from '../oci/state.ts';
import { ownTmpfs, writeBundle, writeCriuConfig } from './bundle.ts';
import type { RuncContainer } from './config.ts';
import { type RuncPaths, runcPaths } from './paths.ts';
import { removeContainer } from './remove.ts';
import { sourceFindings } from './sources.ts';

export interface RuncEngineOptions {
  readonly containers: Readonly<Record<string, RuncContainer>>;
  /** On tmpfs: what is in it is gone after a reboot, as the containers are. */
  readonly runDir: string;
  /** Outlives a restart of the host. */
  readonly stateDir: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/** Of every container here: `start` gives it no others. */
const STREAMS = ['/dev/null', '/dev/null', '/dev/null'];
/** For cleaning up after a failure, when the caller's own deadline may be over. */
const CLEANUP_TIMEOUT_MS = 10_000;

/** Containers run by runc and moved by CRIU, in the host's network. See docs/criu.md. */
export function createRuncEngine({ containers, runDir, stateDir, log }: RuncEngineOptions): Engine {
  const paths = runcPaths(runDir);
  const programsDir = join(stateDir, 'runc-programs');
  /** Restores begun ahead. Whoever removes the container ends its one. */
  const held = new Map<string, HeldRestore>();
  const configOf = (name: string) => configured(containers, name);
  /** @throws HoldfastError `CONTAINER_UNKNOWN` */
  const containerOf = (name: string): OciContainer => {
    configOf(name);
    return paths.containerOf(name);
  };
  const stateOf = (name: string) => readState(containerOf(name));
  const waitUntilHealthy = async (name: string, signal: AbortSignal) => {
    const { initPid } = await aliveState(containerOf(name));
    const start = processStart(initPid);
    await waitHealthy(configOf(name), () => start !== 0 && processStart(initPid) === start, signal);
  };
  const sumOptions = (name: string, signal: AbortSignal) => ({
    ownMounts: ownTmpfs(configOf(name)),
    signal,
  });

  const remove = async (name: string, signal: AbortSignal) => {
    configOf(name);
    await removeContainer(paths, name, signal);
  };

  return {
    name: 'runc',
    containers: () => Object.keys(containers),

    async status(name) {
      const { port } = configOf(name);
      return { name, engine: 'runc', state: (await stateOf(name)).state, port };
    },

    async start(name, signal) {
      const container = configOf(name);
      await clearWay(paths, name, signal);
      await refuseUnfit(container);
      if (await portTaken(container.port)) {
        throw new HoldfastError('PORT_TAKEN', `something listens on port ${container.port} here`);
      }
      const bundleDir = await makeBundle(paths, name, container);
      try {
        const args = ['--root', paths.runcRoot, 'run', '--detach', '--bundle', bundleDir, name];
        const { code, said } = await runc(args, {
          recordFile: containerOf(name).operationFile,
          logFile: join(bundleDir, 'runc.log'),
          cwd: bundleDir,
          onAbort: OnAbort.kill,
          signal,
        });
        if (code !== 0) throw new HoldfastError('START_FAILED', `${name} did not start: ${said}`);
        await waitUntilHealthy(name, signal);
      } catch (error) {
        await cleanUp(name);
        throw error;
      }
      log.info({ container: name }, 'container started');
    },

    remove,
    // Whatever is in its directories was made by this engine.
    discard: remove,

    async examine(name, signal) {
      return examineContainer({ ...configOf(name), name }, await stateOf(name), signal);
    },

    async admit(name, footprint, imagesDir, signal) {
      if (!Object.hasOwn(containers, name)) return [notConfigured(name)];
      const container = configOf(name);
      return [
        ...(await admitContainer({ ...container, name }, await stateOf(name), footprint, imagesDir, signal)),
        ...(await sourceFindings(container)),
      ];
    },

    async prepare(name, workspace, signal) {
      await refuseUnfit(configOf(name));
      held.set(name, await hold(name, workspace, signal));
    },

    processes: async (name) => (await stateOf(name)).cgroup.pids(),
    cgroupDir: async (name) => (await stateOf(name)).cgroup.dir,
    freeze: (name, signal) => freeze(containerOf(name), signal),
    thaw: (name, signal) => thaw(containerOf(name), signal),
    dump: (name, workspace, memory, signal) => dump(containerOf(name), workspace, memory, signal),

    restore: restoreContainer,

    async restoreFrozen(name, workspace, memory, signal) {
      await restoreContainer(name, workspace, memory, signal, LEAVE_STOPPED);
      try {
        // Stopped they are, but whoever sends SIGCONT could change that.
        await (await aliveState(containerOf(name))).cgroup.freeze(signal);
      } catch (error) {
        await cleanUp(name);
        throw error;
      }
    },

    resume: (name, signal) => resume(containerOf(name), signal),
    sumMemory: (name, workspace, signal) => sumMemory(containerOf(name), workspace, sumOptions(name, signal)),
    sumRanges: (name, workspace, pid, signal) =>
      sumMemoryRanges(containerOf(name), workspace, pid, sumOptions(name, signal)),

    healthy: waitUntilHealthy,
  };

  async function restoreContainer(
    name: string,
    workspace: Workspace,
    memory: DumpMemory,
    signal: AbortSignal,
    criuOptions: readonly string[] = [],
  ): Promise<void> {
    const ahead = held.get(name);
    held.delete(name);
    const isHeld = ahead !== undefined && !ahead.isOver && ahead.imagesDir === workspace.imagesDir;
    const restore = isHeld ? ahead : await hold(name, workspace, signal);
    const lazily = memory === DumpMemory.leftInPlace ? ['lazy-pages'] : [];
    await writeCriuConfig(paths.bundleDir(name), [...lazily, ...criuOptions]);
    const go = (soon: AbortSignal) => restore.go(soon);
    await restoreWatched(workspace, go, { cleanUp: () => cleanUp(name), signal });
  }

  /** Begin a restore, up to where it needs the images. */
  async function hold(name: string, workspace: Workspace, signal: AbortSignal): Promise<HeldRestore> {
    await clearWay(paths, name, signal);
    try {
      const bundleDir = await makeBundle(paths, name, configOf(name));
      const args = ['--root', paths.runcRoot, 'restore', '--detach', '--bundle', bundleDir];
      const options = {
        container: containerOf(name),
        bundleDir,
        imagesDir: workspace.imagesDir,
        programsDir,
        logFile: join(workspace.workDir, 'runc-restore.log'),
        descriptors: STREAMS,
      };
      return await HeldRestore.begin([...args, ...restoreArgs(workspace), name], options, signal);
    } catch (error) {
      await cleanUp(name);
      throw error;
    }
  }

  async function cleanUp(name: string): Promise<void> {
    try {
      await removeContainer(paths, name, AbortSignal.timeout(CLEANUP_TIMEOUT_MS));
    } catch (error) {
      log.warn({ container: name, err: error }, 'cleaning up after a failure failed itself');
    }
  }
}

/** Nothing of this name may be alive; what a dead one left is removed. */
async function clearWay(paths: RuncPaths, name: string, signal: AbortSignal): Promise<void> {
  const { state } = await readState(paths.containerOf(name));
  if (state === ContainerState.running || state === ContainerState.frozen) {
    throw new HoldfastError('CONTAINER_EXISTS', `${name} is ${state} here already`, {
      mend: 'remove it first',
    });
  }
  await removeContainer(paths, name, signal);
}

async function makeBundle(paths: RuncPaths, name: string, container: RuncContainer): Promise<string> {
  await mkdir(paths.runcRoot, { recursive: true, mode: 0o700 });
  const bundleDir = paths.bundleDir(name);
  await writeBundle(name, container, bundleDir);
  return bundleDir;
}

async function refuseUnfit(container: RuncContainer): Promise<void> {
  const [finding] = await sourceFindings(container);
  if (finding !== undefined) throw new HoldfastError(finding.code, finding.message, { mend: finding.mend });
}
