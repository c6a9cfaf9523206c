import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CRIU_OPTIONS } from '../../criu/options.ts';
import type { RuncContainer } from './config.ts';
import { seccompProfile } from './seccomp.ts';

/** Docker's default set. */
const CAPABILITIES = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['NET_RAW', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
].map((name) => `CAP_${name}`);

const OPEN_FILES = 65_536;

/** Masked directories would be tmpfs mounts to CRIU, each a tar process in the freeze: those are read-only instead. */
const MASKED_FILES = ['/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list'];
const READ_ONLY = ['acpi', 'bus', 'fs', 'irq', 'scsi', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

/** The OCI bundle of a container: everything `runc run` and `runc restore` read of it. Made anew each time. */
export async function writeBundle(name: string, container: RuncContainer, bundleDir: string): Promise<void> {
  await mkdir(bundleDir, { recursive: true, mode: 0o700 });
  const spec = await ociSpec(name, container, criuConfig(bundleDir));
  await writeWhole(join(bundleDir, 'config.json'), JSON.stringify(spec, null, 2));
}

/** What CRIU reads of it at a restore, when that has begun. */
export async function writeCriuConfig(bundleDir: string, criuOptions: readonly string[]): Promise<void> {
  await writeWhole(criuConfig(bundleDir), `${[...CRIU_OPTIONS, ...criuOptions].join('\n')}\n`);
}

function criuConfig(bundleDir: string): string {
  return join(bundleDir, 'criu.conf');
}

/**
 * The path of a container's cgroup, below each hierarchy's root. One level, so that nothing is left when it goes; with
 * the host's name, because containers as hosts may share one cgroup v1 tree.
 */
export function cgroupPath(name: string): string {
  return `/holdfast-${hostname()}-${name}`;
}

async function ociSpec(name: string, container: RuncContainer, criuConfig: string): Promise<unknown> {
  const [uid = 0, gid = 0] = container.user.split(':').map(Number);
  const effective = uid === 0 ? CAPABILITIES : [];
  const openFiles = Math.min(OPEN_FILES, await ownOpenFilesLimit());
  return {
    ociVersion: '1.0.2',
    hostname: name,
    annotations: { 'org.criu.config': criuConfig },
    process: {
      terminal: false,
      user: { uid, gid },
      args: container.command,
      env: Object.entries({ PATH: DEFAULT_PATH, ...container.env }).map(([key, value]) => `${key}=${value}`),
      cwd: container.cwd,
      capabilities: { bounding: CAPABILITIES, effective, permitted: effective },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: openFiles, soft: openFiles }],
      noNewPrivileges: true,
    },
    root: { path: container.rootfs, readonly: true },
    mounts: [...baseMounts(), ...container.tmpfs.map(tmpfsMount), ...container.mounts.map(bindMount)],
    linux: {
      cgroupsPath: cgroupPath(name),
      // No network namespace: the container is reached at the host's address. No cgroup namespace either: no cgroup
      // file system is mounted inside, and CRIU is told to leave cgroups to runc.
      namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })),
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        ...(container.memoryLimitBytes === undefined
          ? {}
          : { memory: { limit: container.memoryLimitBytes } }),
      },
      ...(container.seccomp === 'default' ? { seccomp: seccompProfile() } : {}),
      maskedPaths: MASKED_FILES,
      readonlyPaths: READ_ONLY,
    },
  };
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function baseMounts() {
  return [
    { destination: '/proc', type: 'proc', source: 'proc' },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  ];
}

/** Where the container has a tmpfs of its own, which travels with it. */
export function ownTmpfs(container: RuncContainer): string[] {
  return ['/dev', ...container.tmpfs];
}

function tmpfsMount(destination: string) {
  const mode = destination === '/run' ? 'mode=755' : 'mode=1777';
  const options = ['nosuid', 'nodev', mode, ...(destination === '/dev/shm' ? ['noexec', 'size=65536k'] : [])];
  return { destination, type: 'tmpfs', source: 'tmpfs', options };
}

function bindMount(mount: RuncContainer['mounts'][number]) {
  return {
    destination: mount.destination,
    type: 'bind',
    source: mount.source,
    options: ['rbind', 'rprivate', 'nosuid', 'nodev', mount.readOnly ? 'ro' : 'rw'],
  };
}

/** A limit above the agent's own needs CAP_SYS_RESOURCE, which an agent in a virtual machine's sandbox may lack. */
async function ownOpenFilesLimit(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? OPEN_FILES : Number(hard);
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
