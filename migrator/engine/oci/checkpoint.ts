import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dumpServerArgs, freePort } from '../../criu/dump-server.ts';
import { criuError, Phase } from '../../criu/errors.ts';
import { HoldfastError } from '../../errors.ts';
import { DumpMemory, type ProcessSum, type RangeSum, type Workspace } from '../engine.ts';
import type { OciContainer } from './container.ts';
import { DESCRIPTORS, DUMP_LOG, dumpArgs } from './dump-args.ts';
import { isForking } from './forks.ts';
import { awaitOperation, noRoom, OnAbort, runOnRecord } from './operation.ts';
import { livingPids } from './processes.ts';
import { aliveState, frozenState } from './state.ts';
import { sumProcesses, sumRanges } from './sums.ts';

/** For cleaning up after a failure, when the caller's own deadline may be over. */
const CLEANUP_TIMEOUT_MS = 10_000;
/** CRIU is told to leave cgroups alone: runc puts the restored processes into theirs. Saves 10 to 40 ms each way. */
export const CGROUPS_BY_RUNC = ['--manage-cgroups-mode', 'ignore'];

/** Where runc puts images and logs. */
export function imageArgs({ imagesDir, workDir }: Workspace): string[] {
  return ['--image-path', imagesDir, '--work-path', workDir];
}

/** How long to let a vfork go on before the next try to freeze: about a second in all. */
const FORK_PAUSES_MS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** See `Engine.freeze`. @throws HoldfastError `FORK_PENDING` */
export async function freeze(container: OciContainer, signal: AbortSignal): Promise<void> {
  const { cgroup } = await aliveState(container);
  try {
    await cgroup.freeze(signal);
    for (const pauseMs of FORK_PAUSES_MS) {
      if (!isForking(await cgroup.pids())) return;
      await cgroup.thaw(signal);
      await sleep(pauseMs);
      await cgroup.freeze(signal);
    }
    if (isForking(await cgroup.pids())) throw forkPending(container);
  } catch (error) {
    await cgroup.thaw(AbortSignal.timeout(CLEANUP_TIMEOUT_MS));
    throw error;
  }
}

function forkPending({ name }: OciContainer): HoldfastError {
  return new HoldfastError('FORK_PENDING', `${name} is starting a program all the while, by vfork`, {
    mend: 'migrate again; if it recurs, see which of its processes is in state D while the app runs',
    retryable: true,
  });
}

/** See `Engine.thaw`. */
export async function thaw(container: OciContainer, signal: AbortSignal): Promise<void> {
  const { cgroup } = await aliveState(container);
  await awaitOperation(container.operationFile, signal);
  await rm(container.operationFile, { force: true }); // Of a dump whose agent has died.
  await cgroup.thaw(signal);
}

/** See `Engine.dump`. */
export async function dump(
  container: OciContainer,
  workspace: Workspace,
  memory: DumpMemory,
  signal: AbortSignal,
): Promise<void> {
  const { cgroup, record } = await frozenState(container);
  const { imagesDir, workDir } = workspace;
  const dumpServer = memory === DumpMemory.leftInPlace ? { port: await freePort(), imagesDir } : undefined;
  const descriptors = join(imagesDir, DESCRIPTORS);
  await writeFile(descriptors, JSON.stringify(record.external_descriptors ?? []), { mode: 0o600 }).catch(
    (cause: unknown) => {
      throw noRoom(descriptors, cause);
    },
  );
  const args = [
    ...(await dumpArgs(record, workspace, cgroup.dir)),
    ...(dumpServer ? dumpServerArgs(dumpServer.port) : []),
  ];
  const code = await runOnRecord('criu', args, {
    dumpServer,
    recordFile: container.operationFile,
    logDir: workDir,
    cwd: workDir,
    onAbort: OnAbort.leave,
    goesFirst: true,
    signal,
  });
  // CRIU freezes the cgroup again before it lets go of the processes; if it crashed, it could not.
  await cgroup.freeze(signal);
  if (code !== 0) throw await criuError(Phase.dump, join(workDir, DUMP_LOG), `criu ended with ${code}`);
}

/** Words of CRIU's configuration file: no restored process runs before it is told to. */
export const LEAVE_STOPPED = ['leave-stopped'];

/** Let processes go on that were restored with `LEAVE_STOPPED`. */
export async function resume(container: OciContainer, signal: AbortSignal): Promise<void> {
  const { cgroup } = await aliveState(container);
  // A process that was stopped by a signal before the dump cannot be among them: preflight refuses it.
  for (const pid of await livingPids(cgroup)) process.kill(pid, 'SIGCONT');
  await cgroup.thaw(signal);
}

interface SumOptions {
  /** Where the container has a tmpfs of its own. */
  readonly ownMounts: readonly string[];
  readonly signal: AbortSignal;
}

/** See `Engine.sumMemory`. */
export async function sumMemory(
  container: OciContainer,
  { imagesDir }: Workspace,
  options: SumOptions,
): Promise<ProcessSum[]> {
  const { cgroup } = await frozenState(container);
  return sumProcesses(await livingPids(cgroup), { ...options, imagesDir });
}

/** See `Engine.sumRanges`. */
export async function sumMemoryRanges(
  container: OciContainer,
  { imagesDir }: Workspace,
  pid: number,
  options: SumOptions,
): Promise<RangeSum[]> {
  const { cgroup } = await frozenState(container);
  return sumRanges(await livingPids(cgroup), pid, { ...options, imagesDir });
}
