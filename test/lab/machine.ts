import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { run } from '../../migrator/process.ts';
import { cleanEnv } from './started.ts';

const APT_TIMEOUT_MS = 300_000;
const PROBE_TIMEOUT_MS = 20_000;

/** Programs of the machine the lab works with, and the Debian package each comes in. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  flock: 'util-linux',
};

/**
 * Refuse, with one line that says why, a machine that cannot carry a lab. Installs the small programs it lacks.
 *
 * @throws HoldfastError `LAB_NOT_LINUX`, `LAB_NOT_ROOT`, `LAB_PACKAGE_MISSING`, `LAB_KERNEL`
 */
export async function checkMachine(
  needs: { readonly delay: boolean },
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (process.platform !== 'linux') {
    throw new HoldfastError('LAB_NOT_LINUX', `the lab needs Linux, this is ${process.platform}`, {
      mend: 'run it on a Linux machine',
    });
  }
  if (process.getuid?.() !== 0) {
    throw new HoldfastError('LAB_NOT_ROOT', 'the lab needs root: it makes namespaces, links and mounts', {
      mend: 'run it as root',
    });
  }
  await needPrograms({ ...PROGRAMS, ...(needs.delay ? { perl: 'perl' } : {}) }, log, signal);
  const missing = await missingFeatures(needs.delay, signal);
  if (missing.length > 0) {
    throw new HoldfastError('LAB_KERNEL', `this machine lacks what the lab needs: ${missing.join(', ')}`, {
      mend: 'use a kernel that has it; in a container, start that one with --privileged',
    });
  }
}

/**
 * Install from apt what is missing of the programs named.
 *
 * @throws HoldfastError `LAB_PACKAGE_MISSING`
 */
export async function needPrograms(
  packages: Readonly<Record<string, string>>,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const wanted = new Set(
    Object.entries(packages).flatMap(([program, name]) => (isInstalled(program) ? [] : [name])),
  );
  if (wanted.size === 0) return;
  const names = [...wanted];
  log(`lab: installing ${names.join(', ')}`);
  const apt = async (...args: string[]) =>
    run('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
      signal: anySignal([signal, AbortSignal.timeout(APT_TIMEOUT_MS)]),
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  const install = () => apt('install', '-y', '--no-install-recommends', ...names);
  try {
    await install().catch(async () => {
      await apt('update'); // The lists may be missing or out of date.
      await install();
    });
  } catch (cause) {
    throw new HoldfastError('LAB_PACKAGE_MISSING', `${names.join(', ')} cannot be installed with apt-get`, {
      mend: `install by hand: ${names.join(' ')}`,
      cause,
    });
  }
}

function isInstalled(program: string): boolean {
  const dirs = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return dirs.some((dir) => canRun(path.join(dir, program)));
}

function canRun(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Tried rather than looked up: a feature may be a module that is loaded at its first use. */
const PROBES: Readonly<Record<string, string>> = {
  'network namespaces and veth links (CONFIG_VETH)': 'ip link add v0 type veth peer name v1',
  'bridges (CONFIG_BRIDGE)': 'ip link add b0 type bridge',
  'the token bucket of tc (CONFIG_NET_SCH_TBF)':
    'tc qdisc add dev v0 root tbf rate 1mbit burst 32k latency 50ms',
  'overlay file systems (CONFIG_OVERLAY_FS)':
    'mount -t tmpfs t /tmp && cd /tmp && mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m',
  'pid, uts, ipc and cgroup namespaces': 'unshare -p -u -i -C -f true',
  'cgroups mounted at /sys/fs/cgroup': 'grep -qE " /sys/fs/cgroup[^ ]* cgroup2? " /proc/self/mounts',
};
const DELAY_PROBES: Readonly<Record<string, string>> = {
  'tap devices, for a delay (CONFIG_TUN)': 'ip tuntap add t0 mode tap',
};

async function missingFeatures(delay: boolean, signal: AbortSignal): Promise<string[]> {
  const probes = { ...PROBES, ...(delay ? DELAY_PROBES : {}) };
  const lines = Object.entries(probes).map(
    ([name, probe]) => `( ${probe} ) >/dev/null 2>&1 || echo '${name}'`,
  );
  // All in namespaces that vanish with the shell.
  const inside = ['-n', '-m', '--propagation', 'private', 'sh', '-c', `${lines.join('\n')}\n:`];
  try {
    const { stdout } = await run('unshare', inside, {
      signal: anySignal([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]),
      env: cleanEnv(),
    });
    return stdout.split('\n').filter(Boolean);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'PROGRAM_FAILED') throw error;
    return ['namespaces, or the right to make them'];
  }
}
