import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../errors.ts';
import { ContainerState } from '../engine.ts';
import { type Cgroup, type CgroupDirs, cgroupOf } from './cgroup.ts';
import type { OciContainer } from './container.ts';
import { processStart } from './processes.ts';

/** What is known of a container on this host at one moment. */
export interface OciState {
  readonly state: ContainerState;
  /** The container's first process, as this host's pid; 0 when there is none. */
  readonly initPid: number;
  readonly cgroup: Cgroup;
}

/** The part that is read here of what runc keeps in `ROOT/NAME/state.json`. */
interface RuncFile {
  readonly init_process_pid: number;
  readonly init_process_start: number;
  readonly cgroup_paths: CgroupDirs;
}

/**
 * Read from runc's own record and the kernel, without starting runc: this is asked often, and in the freeze, where
 * 15 ms for a process count.
 */
export async function readState({ runcRoot, id, cgroupPath }: OciContainer): Promise<OciState> {
  const dir = join(runcRoot, id);
  const file = await readRuncFile(join(dir, 'state.json'));
  const cgroup = cgroupOf(file?.cgroup_paths ?? (await expectedDirs(cgroupPath)));
  if (file === undefined) {
    // runc makes the directory first and the record last: one without the other is what a killed runc leaves.
    const left = await stat(dir).then(
      () => true,
      () => false,
    );
    return { state: left ? ContainerState.stopped : ContainerState.absent, initPid: 0, cgroup };
  }
  const alive = processStart(file.init_process_pid) === file.init_process_start;
  if (!alive) return { state: ContainerState.stopped, initPid: 0, cgroup };
  const state = (await cgroup.frozen()) ? ContainerState.frozen : ContainerState.running;
  return { state, initPid: file.init_process_pid, cgroup };
}

/** @throws HoldfastError `CONTAINER_NOT_RUNNING` unless it runs or is frozen */
export async function aliveState(container: OciContainer): Promise<OciState> {
  const state = await readState(container);
  if (state.initPid !== 0) return state;
  throw new HoldfastError('CONTAINER_NOT_RUNNING', `${container.name} is ${state.state} here`, {
    mend: 'start it, or look for it on another host',
  });
}

/** @throws HoldfastError `CONTAINER_NOT_RUNNING`, `CONTAINER_NOT_FROZEN` */
export async function frozenState(container: OciContainer): Promise<OciState> {
  const state = await aliveState(container);
  if (state.state === ContainerState.frozen) return state;
  throw new HoldfastError(
    'CONTAINER_NOT_FROZEN',
    `${container.name} runs: its memory holds still only when it is frozen`,
  );
}

async function readRuncFile(path: string): Promise<RuncFile | undefined> {
  try {
    const file = JSON.parse(await readFile(path, 'utf8')) as RuncFile;
    return typeof file.init_process_pid === 'number' ? file : undefined;
  } catch {
    return undefined;
  }
}

const CGROUP_ROOT = '/sys/fs/cgroup';

/** Where runc puts the cgroup when there is no record of it. */
async function expectedDirs(path: string): Promise<CgroupDirs> {
  const entries = await readdir(CGROUP_ROOT).catch((): string[] => []);
  if (entries.includes('cgroup.procs')) return { '': join(CGROUP_ROOT, path) };
  return Object.fromEntries(entries.map((controller) => [controller, join(CGROUP_ROOT, controller, path)]));
}
