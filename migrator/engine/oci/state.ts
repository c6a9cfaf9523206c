import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../errors.ts';
import { ContainerState } from '../engine.ts';
import { type Cgroup, type CgroupDirs, cgroupOf } from './cgroup.ts';
import type { OciContainer } from './container.ts';
import { processStart } from './processes.ts';
import { type RuncRecord, readRuncRecord } from './runc-record.ts';

/** What is known of a container on this host at one moment. */
export interface OciState {
  readonly state: ContainerState;
  /** The container's first process, as this host's pid; 0 when there is none. */
  readonly initPid: number;
  readonly cgroup: Cgroup;
}

/** Of one that is alive. */
export interface AliveState extends OciState {
  readonly record: RuncRecord;
}

/**
 * Read from runc's own record and the kernel, without starting runc: this is asked often, and in the freeze, where
 * 15 ms for a process count.
 */
export async function readState(container: OciContainer): Promise<OciState | AliveState> {
  const record = await readRuncRecord(container);
  const cgroup = cgroupOf(record?.cgroup_paths ?? (await expectedDirs(container.cgroupPath)));
  if (record === undefined) {
    // runc makes the directory first and the record last: one without the other is what a killed runc leaves.
    const left = await stat(join(container.runcRoot, container.id)).then(
      () => true,
      () => false,
    );
    return { state: left ? ContainerState.stopped : ContainerState.absent, initPid: 0, cgroup };
  }
  const alive = processStart(record.init_process_pid) === record.init_process_start;
  if (!alive) return { state: ContainerState.stopped, initPid: 0, cgroup };
  const state = (await cgroup.frozen()) ? ContainerState.frozen : ContainerState.running;
  return { state, initPid: record.init_process_pid, cgroup, record };
}

/** @throws HoldfastError `CONTAINER_NOT_RUNNING` unless it runs or is frozen */
export async function aliveState(container: OciContainer): Promise<AliveState> {
  const state = await readState(container);
  if ('record' in state) return state;
  throw new HoldfastError('CONTAINER_NOT_RUNNING', `${container.name} is ${state.state} here`, {
    mend: 'start it, or look for it on another host',
  });
}

/** @throws HoldfastError `CONTAINER_NOT_RUNNING`, `CONTAINER_NOT_FROZEN` */
export async function frozenState(container: OciContainer): Promise<AliveState> {
  const state = await aliveState(container);
  if (state.state === ContainerState.frozen) return state;
  throw new HoldfastError(
    'CONTAINER_NOT_FROZEN',
    `${container.name} runs: its memory holds still only when it is frozen`,
  );
}

const CGROUP_ROOT = '/sys/fs/cgroup';

/** Where runc puts the cgroup when there is no record of it. */
async function expectedDirs(path: string): Promise<CgroupDirs> {
  const entries = await readdir(CGROUP_ROOT).catch((): string[] => []);
  if (entries.includes('cgroup.procs')) return { '': join(CGROUP_ROOT, path) };
  return Object.fromEntries(entries.map((controller) => [controller, join(CGROUP_ROOT, controller, path)]));
}
