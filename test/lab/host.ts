import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../../migrator/errors.ts';
import { type RunResult, run } from '../../migrator/process.ts';
import { entryCgroup, hierarchies, hostCgroup, makeCgroups, settleCgroups } from './cgroups.ts';
import { disksDir, labDir } from './names.ts';
import type { HostState } from './state.ts';

export interface ExecOptions {
  readonly signal: AbortSignal;
  readonly input?: string;
  /** Exit codes that are answers rather than failures; 0 when not given. */
  readonly okCodes?: readonly number[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface LabHost {
  readonly name: string;
  readonly address: string;
  /** The host's PID 1, as the machine numbers it. */
  readonly initPid: number;
  /** Where the host's root file system can be read and written from the machine. */
  readonly rootDir: string;
  /** Run a program inside the host to its end. Errors as those of `run` in migrator/process.ts. */
  exec(command: string, args: readonly string[], options: ExecOptions): Promise<RunResult>;
  /**
   * Start a program inside the host. `kill` of the child returned signals that very program (its `pid` is only
   * the door it went in by); it dies at the latest with the process that spawned it.
   */
  spawn(
    command: string,
    args: readonly string[],
    options?: Pick<SpawnOptions, 'env' | 'stdio'>,
  ): ChildProcess;
}

const repoDir = fileURLToPath(new URL('../..', import.meta.url));
const initScript = fileURLToPath(new URL('host-init.sh', import.meta.url));
const READY_TIMEOUT_MS = 20_000;

/** Joins the groups given before `--`, then becomes the program after it. */
const JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"';

/** Start the namespaces and PID 1 of a host; its pid comes back. */
export async function startHost(
  lab: string,
  host: string,
  rootfs: string,
  signal: AbortSignal,
): Promise<number> {
  const work = path.join(labDir(lab), host);
  const disk = path.join(disksDir(lab), host);
  mkdirSync(work, { recursive: true });
  mkdirSync(disk, { recursive: true });
  makeCgroups(lab, host);
  const all = hierarchies();
  const groups = all.map((hierarchy) => hostCgroup(hierarchy, lab, host));
  const mounts = all.flatMap(({ mountPoint, version, controllers }) => [
    mountPoint,
    String(version),
    controllers,
  ]);
  const unshare = ['unshare', '-m', '-u', '-p', '-i', '-n', '-C', '-f', '--propagation', 'private', '--'];
  const init = ['/bin/sh', initScript, host, rootfs, work, repoDir, disk, ...mounts];
  // In a session of its own: a Ctrl-C at the terminal is for the owner, who then takes the lab down in order.
  const child = spawn('/bin/sh', ['-c', JOIN, 'lab-host', ...groups, '--', ...unshare, ...init], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: hostEnv({}),
    cwd: '/',
  });
  await ready(child, host, signal);
  child.unref();
  const initPid = childrenOf(child.pid)[0];
  if (child.pid === undefined || initPid === undefined) throw notUp(host, 'its first process has ended');
  settleCgroups(lab, host, [child.pid, initPid]);
  return initPid;
}

async function ready(child: ChildProcess, host: string, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(READY_TIMEOUT_MS)]);
  let said = '';
  try {
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      child.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('ready')) resolve();
      });
      child.once('error', reject);
      child.once('close', (code) => reject(notUp(host, said.trim() || `exit code ${code}`)));
      deadline.addEventListener('abort', () => reject(notUp(host, `${deadline.reason}`)), { once: true });
      if (deadline.aborted) reject(notUp(host, `${deadline.reason}`));
    });
  } finally {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

function notUp(host: string, why: string): HoldfastError {
  return new HoldfastError('LAB_HOST_FAILED', `lab host ${host} did not come up: ${why}`);
}

function childrenOf(pid: number | undefined): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** The API of a host that runs. */
export function labHost(lab: string, { name, address, initPid }: HostState): LabHost {
  const enter = (command: string, args: readonly string[]): string[] => [
    ...[
      '-c',
      JOIN,
      'lab-enter',
      ...hierarchies().map((hierarchy) => entryCgroup(hierarchy, lab, name)),
      '--',
    ],
    ...['nsenter', '-t', String(initPid), '-m', '-u', '-i', '-n', '-p', '-C', '--'],
    // Whatever ends nsenter ends the program too; without this it would stay behind in the host's pid namespace.
    ...['setpriv', '--pdeathsig', 'KILL', '--', command, ...args],
  ];
  return {
    name,
    address,
    initPid,
    rootDir: `/proc/${initPid}/root`,
    exec: (command, args, { env = {}, ...options }) =>
      run('/bin/sh', enter(command, args), { ...options, env: hostEnv(env) }),
    spawn(command, args, { env = {}, stdio = 'pipe' } = {}) {
      const child = spawn('/bin/sh', enter(command, args), { stdio, env: hostEnv(env), cwd: '/' });
      const killDoor = child.kill.bind(child);
      child.kill = (signal) => {
        if (child.exitCode !== null || child.signalCode !== null) return false;
        const program = childrenOf(child.pid)[0];
        if (program === undefined) return killDoor(signal);
        try {
          return process.kill(program, signal ?? 'SIGTERM');
        } catch {
          return false;
        }
      };
      return child;
    },
  };
}

function hostEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    ...env,
  };
}
