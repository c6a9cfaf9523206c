import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ContainerState } from '../engine.ts';
import { cgroupPath } from './bundle.ts';
import { type Cgroup, type CgroupDirs, cgroupOf } from './cgroup.ts';
import { processStart } from './processes.ts';

/** What is known of a container on this host at one moment. */
export interface RuncState {
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
export async function readState(runcRoot: string, name: string): Promise<RuncState> {
  const dir = join(runcRoot, name);
  const file = await readRuncFile(join(dir, 'state.json'));
  const cgroup = cgroupOf(file?.cgroup_paths ?? (await expectedDirs(name)));
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
async function expectedDirs(name: string): Promise<CgroupDirs> {
  const entries = await readdir(CGROUP_ROOT).catch((): string[] => []);
  const path = cgroupPath(name);
  if (entries.includes('cgroup.procs')) return { '': join(CGROUP_ROOT, path) };
  return Object.fromEntries(entries.map((controller) => [controller, join(CGROUP_ROOT, controller, path)]));
}
