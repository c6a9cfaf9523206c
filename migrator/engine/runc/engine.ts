import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { anySignal } from '../../any-signal.ts';
import { dumpServerArgs, freePort } from '../../criu/dump-server.ts';
import { criuError, Phase } from '../../criu/errors.ts';
import { watchRunaway } from '../../criu/runaway.ts';
import { HoldfastError } from '../../errors.ts';
import { ContainerState, DumpMemory, type Engine, type Workspace } from '../engine.ts';
import { admitContainer, sourceFindings } from './admit.ts';
import { ownTmpfs, writeBundle } from './bundle.ts';
import type { RuncContainer } from './config.ts';
import { portTaken } from './connections.ts';
import { examineContainer } from './examine.ts';
import { waitHealthy } from './health.ts';
import { awaitOperation, OnAbort, runOnRecord } from './operation.ts';
import { type RuncPaths, runcPaths } from './paths.ts';
import { livingPids, processStart } from './processes.ts';
import { RESTORE_LOG, removeContainer, removeScratch } from './remove.ts';
import { type RuncState, readState } from './state.ts';
import { sumProcesses, sumRanges } from './sums.ts';

export interface RuncEngineOptions {
  readonly containers: Readonly<Record<string, RuncContainer>>;
  /** On tmpfs: what is in it is gone after a reboot, as the containers are. */
  readonly runDir: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/** For cleaning up after a failure, when the caller's own deadline may be over. */
const CLEANUP_TIMEOUT_MS = 10_000;
const RUNAWAY = 'CRIU went on reading without end: the page images are too short';
/** Words of CRIU's configuration file. */
const LEAVE_STOPPED = ['leave-stopped'];
/** CRIU is told to leave cgroups alone: runc puts the restored processes into theirs. Saves 10 to 40 ms each way. */
const CGROUPS_BY_RUNC = ['--manage-cgroups-mode', 'ignore'];

/** Containers run by runc and moved by CRIU, in the host's network. See docs/criu.md. */
export function createRuncEngine({ containers, runDir, log }: RuncEngineOptions): Engine {
  const paths = runcPaths(runDir);
  const configOf = (name: string): RuncContainer => {
    const container = Object.hasOwn(containers, name) ? containers[name] : undefined;
    if (container !== undefined) return container;
    throw new HoldfastError('CONTAINER_UNKNOWN', `this host's configuration has no container ${name}`, {
      mend: 'add it to containers: in the agent configuration, the same at both ends',
    });
  };
  const stateOf = (name: string) => readState(paths.runcRoot, name);
  const alive = async (name: string): Promise<RuncState> => {
    configOf(name);
    const state = await stateOf(name);
    if (state.initPid !== 0) return state;
    throw new HoldfastError('CONTAINER_NOT_RUNNING', `${name} is ${state.state} here`, {
      mend: 'start it, or look for it on another host',
    });
  };
  const frozen = async (name: string): Promise<RuncState> => {
    const state = await alive(name);
    if (state.state === ContainerState.frozen) return state;
    throw new HoldfastError(
      'CONTAINER_NOT_FROZEN',
      `${name} runs: its memory holds still only when it is frozen`,
    );
  };
  const waitUntilHealthy = async (name: string, signal: AbortSignal) => {
    const { initPid } = await alive(name);
    const start = processStart(initPid);
    await waitHealthy(configOf(name), () => start !== 0 && processStart(initPid) === start, signal);
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
        const { code, said } = await runOnRecord(args, {
          recordFile: paths.operationFile(name),
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

    async remove(name, signal) {
      configOf(name);
      await removeContainer(paths, name, signal);
    },

    async examine(name, signal) {
      return examineContainer(name, configOf(name), await stateOf(name), signal);
    },

    async admit(name, footprint, imagesDir, signal) {
      if (!Object.hasOwn(containers, name)) {
        return [
          {
            code: 'CONTAINER_UNKNOWN',
            message: `this host's configuration has no container ${name}`,
            mend: 'add it to containers: in the agent configuration, the same at both ends',
          },
        ];
      }
      return admitContainer(name, configOf(name), await stateOf(name), footprint, imagesDir, signal);
    },

    async prepare(name, _workspace, signal) {
      const container = configOf(name);
      await clearWay(paths, name, signal);
      await refuseUnfit(container);
      await makeBundle(paths, name, container);
    },

    async processes(name) {
      configOf(name);
      return (await stateOf(name)).cgroup.pids();
    },

    async cgroupDir(name) {
      configOf(name);
      return (await stateOf(name)).cgroup.dir;
    },

    async freeze(name, signal) {
      const { cgroup } = await alive(name);
      try {
        await cgroup.freeze(signal);
      } catch (error) {
        await cgroup.thaw(AbortSignal.timeout(CLEANUP_TIMEOUT_MS));
        throw error;
      }
    },

    async thaw(name, signal) {
      const { cgroup } = await alive(name);
      await awaitOperation(paths.operationFile(name), signal);
      await cgroup.thaw(signal);
    },

    async dump(name, workspace, memory, signal) {
      const { cgroup } = await frozen(name);
      const { imagesDir, workDir } = workspace;
      const dumpServer =
        memory === DumpMemory.leftInPlace ? { port: await freePort(), imagesDir } : undefined;
      const args = [
        ...['checkpoint', '--leave-running', ...CGROUPS_BY_RUNC, ...imageArgs(workspace)],
        ...(dumpServer ? dumpServerArgs(dumpServer.port) : []),
        name,
      ];
      const { code, said } = await runOnRecord(['--root', paths.runcRoot, ...args], {
        dumpServer,
        recordFile: paths.operationFile(name),
        logFile: join(workDir, 'runc-dump.log'),
        cwd: workDir,
        onAbort: OnAbort.leave,
        signal,
      });
      // CRIU freezes the cgroup again before it lets go of the processes; if it crashed, it could not.
      await cgroup.freeze(signal);
      if (code !== 0) throw await criuError(Phase.dump, join(workDir, 'dump.log'), said);
    },

    restore: restoreContainer,

    async restoreFrozen(name, workspace, memory, signal) {
      await restoreContainer(name, workspace, memory, signal, LEAVE_STOPPED);
      try {
        // Stopped they are, but whoever sends SIGCONT could change that.
        await (await alive(name)).cgroup.freeze(signal);
      } catch (error) {
        await cleanUp(name);
        throw error;
      }
    },

    async resume(name, signal) {
      const { cgroup } = await alive(name);
      // A process that was stopped by a signal before the dump cannot be among them: preflight refuses it.
      for (const pid of await livingPids(cgroup)) process.kill(pid, 'SIGCONT');
      await cgroup.thaw(signal);
    },

    async sumMemory(name, workspace, signal) {
      const still = await frozen(name);
      return sumProcesses(await livingPids(still.cgroup), sumOptions(name, workspace, signal));
    },

    async sumRanges(name, workspace, pid, signal) {
      const still = await frozen(name);
      return sumRanges(await livingPids(still.cgroup), pid, sumOptions(name, workspace, signal));
    },

    healthy: waitUntilHealthy,
  };

  function sumOptions(name: string, { imagesDir }: Workspace, signal: AbortSignal) {
    return { imagesDir, ownMounts: ownTmpfs(configOf(name)), signal };
  }

  async function restoreContainer(
    name: string,
    workspace: Workspace,
    memory: DumpMemory,
    signal: AbortSignal,
    criuOptions: readonly string[] = [],
  ): Promise<void> {
    const container = configOf(name);
    await clearWay(paths, name, signal, { keepBundle: true });
    const bundleDir = await makeBundle(paths, name, container, criuOptions);
    const logFile = join(workspace.workDir, RESTORE_LOG);
    const runaway = watchRunaway(logFile);
    try {
      const lazily = memory === DumpMemory.leftInPlace ? ['--lazy-pages'] : [];
      const args = ['restore', '--detach', ...CGROUPS_BY_RUNC, ...imageArgs(workspace), ...lazily, name];
      const { code, said } = await runOnRecord(['--root', paths.runcRoot, ...args], {
        recordFile: paths.operationFile(name),
        logFile: join(workspace.workDir, 'runc-restore.log'),
        cwd: bundleDir,
        onAbort: OnAbort.kill,
        signal: anySignal([signal, runaway.signal]),
      });
      if (code !== 0) throw await criuError(Phase.restore, logFile, said);
    } catch (error) {
      await cleanUp(name);
      await removeScratch(logFile);
      if (runaway.signal.aborted) throw await criuError(Phase.restore, logFile, RUNAWAY);
      throw error;
    } finally {
      runaway.stop();
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
async function clearWay(
  paths: RuncPaths,
  name: string,
  signal: AbortSignal,
  { keepBundle = false } = {},
): Promise<void> {
  const { state } = await readState(paths.runcRoot, name);
  if (state === ContainerState.running || state === ContainerState.frozen) {
    throw new HoldfastError('CONTAINER_EXISTS', `${name} is ${state} here already`, {
      mend: 'remove it first',
    });
  }
  if (state === ContainerState.absent && keepBundle) return;
  await removeContainer(paths, name, signal);
}

async function makeBundle(
  paths: RuncPaths,
  name: string,
  container: RuncContainer,
  criuOptions: readonly string[] = [],
): Promise<string> {
  await mkdir(paths.runcRoot, { recursive: true, mode: 0o700 });
  const bundleDir = paths.bundleDir(name);
  await writeBundle(name, container, bundleDir, criuOptions);
  return bundleDir;
}

async function refuseUnfit(container: RuncContainer): Promise<void> {
  const [finding] = await sourceFindings(container);
  if (finding !== undefined) throw new HoldfastError(finding.code, finding.message, { mend: finding.mend });
}

function imageArgs({ imagesDir, workDir }: Workspace): string[] {
  return ['--image-path', imagesDir, '--work-path', workDir];
}
