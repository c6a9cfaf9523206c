import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { run } from '../../migrator/process.ts';
import { withLock } from './lock.ts';
import { needPrograms } from './machine.ts';
import { cacheDir } from './names.ts';

const SUITE = 'forky'; // The first Debian whose CRIU (4.2) works on kernels from 6.16 on.
const PACKAGES = [
  ...['criu', 'runc', 'haproxy', 'nodejs', 'tini'],
  ...[
    'ca-certificates',
    'iproute2',
    'iptables',
    'nftables',
    'iputils-ping',
    'procps',
    'socat',
    'tar',
    'util-linux',
  ],
];
/** Keep what nobody reads inside a host out of the cache; the Node package alone has 40 MB of documents. */
const OPTIONS = [
  '--variant=minbase',
  '--dpkgopt=path-exclude=/usr/share/doc/*',
  '--dpkgopt=path-exclude=/usr/share/man/*',
  '--dpkgopt=path-exclude=/usr/share/locale/*',
  '--aptopt=Acquire::Check-Valid-Until "false"', // A mirror that is a snapshot has outlived its own date.
  '--aptopt=APT::Install-Recommends "false"',
];
/**
 * The build's mounts and processes are in namespaces that end with it, and it ends at the latest with us: else an
 * interrupted run would leave /proc and /sys mounted in what the next one removes.
 */
const GUARD = [
  ...['--pdeathsig', 'KILL', '--', 'unshare', '-m', '-p', '-f', '--propagation', 'private'],
  ...['--kill-child', '--mount-proc', '--'],
];
const BUILD_TIMEOUT_MS = 900_000;

/**
 * The directory of the root file system all hosts stand on; built on first use, then shared by all runs. With
 * `extraPackages` it is another one, beside that of everybody else.
 * It is built beside its place and moved there when whole, so an interrupted build leaves nothing that looks right.
 *
 * @throws HoldfastError `LAB_NO_MIRROR`, `LAB_ROOTFS_FAILED`, `LAB_PACKAGE_MISSING`
 */
export async function ensureRootfs(
  log: (line: string) => void,
  signal: AbortSignal,
  extraPackages: readonly string[] = [],
): Promise<string> {
  const packages = [...PACKAGES, ...extraPackages];
  const recipe = JSON.stringify([SUITE, packages, OPTIONS, process.arch]);
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 16);
  const dir = path.join(cacheDir(), 'rootfs', key);
  if (existsSync(dir)) return dir;
  await mkdir(path.dirname(dir), { recursive: true });
  await needPrograms({ mmdebstrap: 'mmdebstrap' }, log, signal);
  await withLock(`${path.dirname(dir)}/lock`, signal, async () => {
    if (existsSync(dir)) return;
    await build(dir, packages, log, signal);
  });
  return dir;
}

async function build(
  dir: string,
  packages: readonly string[],
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const parent = path.dirname(dir);
  for (const entry of await readdir(parent)) {
    if (entry.endsWith('.part')) await removeTree(path.join(parent, entry));
  }
  const part = `${dir}.${process.pid}.part`;
  const mirror = await debianMirror(signal);
  const more = packages.slice(PACKAGES.length);
  const having = more.length === 0 ? '' : ` with ${more.join(', ')}`;
  log(`lab: building a root file system, Debian ${SUITE}${having}; once, about half a minute`);
  const startedMs = performance.now();
  try {
    const build = ['mmdebstrap', ...OPTIONS, `--include=${packages.join(',')}`, SUITE, part, mirror];
    await run('setpriv', [...GUARD, ...build], {
      signal: anySignal([signal, AbortSignal.timeout(BUILD_TIMEOUT_MS)]),
    });
    await rename(part, dir);
  } catch (cause) {
    await removeTree(part);
    throw new HoldfastError(
      'LAB_ROOTFS_FAILED',
      `the root file system could not be built: ${describe(cause)}`,
      {
        mend: 'see that the Debian mirror of apt can be reached, and try again',
        retryable: true,
        cause,
      },
    );
  }
  log(`lab: root file system ready after ${Math.round((performance.now() - startedMs) / 1000)} s`);
}

async function removeTree(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
}

/** In one line: of what apt and mmdebstrap say, the first error is the cause of the others. */
function describe(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return /^.*?E: (.*)$/m.exec(said)?.[1] ?? said;
}

/** The mirror apt is set to on this machine: it can be reached from here, which no other is known to be. */
async function debianMirror(signal: AbortSignal): Promise<string> {
  const format = '$(ORIGIN)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)';
  const { stdout } = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
    signal,
  });
  const sources = stdout.split('\n').map((line) => line.split('|'));
  const archives = sources.filter(
    ([, component, release = '']) => component === 'main' && !/[-/]/.test(release),
  );
  // Before the first `apt-get update` apt does not know an origin, and leaves the word as it is.
  const mirror =
    archives.find(([origin]) => origin === 'Debian') ??
    archives.find(([, , , uri]) => uri?.includes('debian'));
  if (mirror?.[3]) return mirror[3];
  throw new HoldfastError('LAB_NO_MIRROR', 'apt on this machine is set to no Debian mirror', {
    mend: 'run the lab on Debian, with a deb line for its main archive in the sources of apt',
  });
}
