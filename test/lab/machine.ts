import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { HoldfastError } from '../../migrator/errors.ts';
import { run } from '../../migrator/process.ts';

const APT_TIMEOUT_MS = 300_000;

/** Programs of the machine the lab works with, and the Debian package each comes in. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  flock: 'util-linux',
  perl: 'perl-base',
};

/** Refuse, with one line that says why, what cannot carry a lab. Installs the small programs that are missing. */
export async function checkMachine(log: (line: string) => void, signal: AbortSignal): Promise<void> {
  if (process.platform !== 'linux') {
    throw new HoldfastError('LAB_NOT_LINUX', `the lab needs Linux, this is ${process.platform}`);
  }
  if (process.getuid?.() !== 0) {
    throw new HoldfastError('LAB_NOT_ROOT', 'the lab needs root: it makes namespaces, links and mounts', {
      mend: 'run it with sudo',
    });
  }
  await needPrograms(PACKAGES, log, signal);
  const missing = missingFeatures();
  if (missing.length > 0) {
    throw new HoldfastError('LAB_KERNEL', `this kernel lacks what the lab needs: ${missing.join(', ')}`, {
      mend: 'boot a kernel that has it, or load the module',
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
      signal: AbortSignal.any([signal, AbortSignal.timeout(APT_TIMEOUT_MS)]),
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

function missingFeatures(): string[] {
  const namespaces = ['net', 'mnt', 'pid', 'uts', 'ipc', 'cgroup'];
  const present = readdirSync('/proc/self/ns');
  const missing = namespaces.filter((name) => !present.includes(name)).map((name) => `${name} namespaces`);
  if (!/\bcgroup2?$/m.test(readFileSync('/proc/filesystems', 'utf8'))) missing.push('cgroups');
  return missing;
}
