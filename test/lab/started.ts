import { type ChildProcess, spawn } from 'node:child_process';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { entryCgroup, hierarchies, hostCgroup, makeCgroups, settleCgroups } from './cgroups.ts';

const READY_TIMEOUT_MS = 20_000;

/** Joins the groups given before `--`, then becomes the program after it. */
const JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"';

/** Arguments for /bin/sh: a program that runs in the groups of `member`, so that the lab takes it along when it goes. */
export function joined(lab: string, member: string, command: readonly string[]): string[] {
  const groups = hierarchies().map((hierarchy) => entryCgroup(hierarchy, lab, member));
  return ['-c', JOIN, 'lab-enter', ...groups, '--', ...command];
}

export function cleanEnv(env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return { PATH, HOME: '/root', LANG: 'C.UTF-8', ...env };
}

/**
 * Start a lasting part of a lab (a host, the switch, a relay) in groups of its own, and wait until it has printed
 * `ready`. Its pid comes back; it stays when this process ends, unless the lab is removed.
 *
 * @throws HoldfastError `LAB_PART_FAILED`
 */
export async function startPart(
  lab: string,
  member: string,
  command: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  makeCgroups(lab, member);
  // A cgroup namespace has its root where the process is when it is made: the member's group, not the leaf below.
  const groups = hierarchies().map((hierarchy) => hostCgroup(hierarchy, lab, member));
  // In a session of its own: a Ctrl-C at the terminal is for the owner, who then takes the lab down in order.
  const child = spawn('/bin/sh', ['-c', JOIN, 'lab-part', ...groups, '--', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: cleanEnv(),
    cwd: '/',
  });
  await ready(child, member, signal);
  child.unref();
  if (child.pid === undefined) throw notReady(member, 'it has no pid');
  settleCgroups(lab, member);
  return child.pid;
}

async function ready(child: ChildProcess, member: string, signal: AbortSignal): Promise<void> {
  const deadline = anySignal([signal, AbortSignal.timeout(READY_TIMEOUT_MS)]);
  const giveUp = () => child.kill('SIGKILL');
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  deadline.addEventListener('abort', giveUp, { once: true });
  if (deadline.aborted) giveUp();
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('ready')) resolve();
      });
      child.once('error', reject);
      child.once('close', (code) => reject(notReady(member, said.trim() || `exit code ${code}`)));
    });
  } finally {
    deadline.removeEventListener('abort', giveUp);
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

function notReady(member: string, why: string): HoldfastError {
  return new HoldfastError('LAB_PART_FAILED', `the lab's ${member} did not come up: ${why}`, {
    mend: 'see what it says, and whether the machine has memory left',
  });
}
