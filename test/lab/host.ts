import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../../migrator/errors.ts';
import { type RunOptions, type RunResult, run } from '../../migrator/process.ts';
import { hierarchies } from './cgroups.ts';
import { disksDir, labDir } from './names.ts';
import { cleanEnv, joined, startPart } from './started.ts';
import type { HostState } from './state.ts';

export interface LabHost {
  readonly name: string;
  readonly address: string;
  /** The host's PID 1, as the machine numbers it. */
  readonly initPid: number;
  /** Where the host's root file system can be read and written from the machine. */
  readonly rootDir: string;
  /** Run a program inside the host to its end. Errors as those of `run` in migrator/process.ts. */
  exec(command: string, args: readonly string[], options: Omit<RunOptions, 'cwd'>): Promise<RunResult>;
  /**
   * Start a program inside the host, in a session of its own: a Ctrl-C at the terminal does not reach it. `kill` of
   * the child returned signals that very program (`pid` is only the door it went in by), and the child ends as the
   * program does. It ends at the latest with the lab.
   */
  spawn(
    command: string,
    args: readonly string[],
    options?: Pick<SpawnOptions, 'env' | 'stdio'>,
  ): ChildProcess;
}

const repoDir = fileURLToPath(new URL('../..', import.meta.url));
const initScript = fileURLToPath(new URL('host-init.sh', import.meta.url));

/** Start the namespaces and PID 1 of a host; the pid of the latter comes back. */
export async function startHost(
  lab: string,
  host: string,
  rootfs: string,
  signal: AbortSignal,
): Promise<number> {
  const work = path.join(labDir(lab), host);
  const disk = path.join(disksDir(lab), host);
  mkdirSync(work, { recursive: true });
  const shared = path.join(disksDir(lab), 'shared');
  mkdirSync(disk, { recursive: true });
  mkdirSync(shared, { recursive: true });
  const mounts = hierarchies().flatMap((one) => [one.mountPoint, String(one.version), one.controllers]);
  const unshare = ['unshare', '-m', '-u', '-p', '-i', '-n', '-C', '-f', '--propagation', 'private', '--'];
  const init = ['/bin/sh', initScript, host, rootfs, work, repoDir, disk, shared, ...mounts];
  const unsharePid = await startPart(lab, host, [...unshare, ...init], signal);
  const initPid = childrenOf(unsharePid)[0];
  if (initPid === undefined) {
    throw new HoldfastError('LAB_PART_FAILED', `PID 1 of lab host ${host} has ended`, { retryable: true });
  }
  return initPid;
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** nsenter may have ended before the kernel was asked to tell of it: PID 1 is the parent then, and not one outside. */
const UNLESS_LEFT_BEHIND = '[ $PPID -ne 1 ] && exec "$@"';

/** What can be done with a host that runs. */
export function labHost(lab: string, { name, address, initPid }: HostState): LabHost {
  const inside = (command: string, args: readonly string[]): string[] =>
    joined(lab, name, [
      ...['nsenter', '-t', String(initPid), '-m', '-u', '-i', '-n', '-p', '-C', '--'],
      // Whatever ends nsenter ends the program too; without this it would stay behind in the host's pid namespace.
      ...['setpriv', '--pdeathsig', 'KILL', '--', 'sh', '-c', UNLESS_LEFT_BEHIND, 'sh', command, ...args],
    ]);
  return {
    name,
    address,
    initPid,
    rootDir: `/proc/${initPid}/root`,
    exec: (command, args, options) =>
      run('/bin/sh', inside(command, args), { ...options, env: cleanEnv(options.env) }),
    spawn(command, args, { env, stdio = 'pipe' } = {}) {
      const child = spawn('/bin/sh', inside(command, args), {
        stdio,
        env: cleanEnv(env),
        cwd: '/',
        detached: true,
      });
      const killDoor = child.kill.bind(child);
      child.kill = (signal) => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
        const program = childrenOf(child.pid)[0];
        return program === undefined ? killDoor(signal) : signalProcess(program, signal);
      };
      return child;
    },
  };
}

function signalProcess(pid: number, signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
