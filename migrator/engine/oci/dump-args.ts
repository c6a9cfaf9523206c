import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CRIU_OPTIONS, CRIU_OPTIONS_CONNECTED } from '../../criu/options.ts';
import type { Workspace } from '../engine.ts';
import { hasInnerConnections } from './connections.ts';
import { pathInside } from './inside-root.ts';
import { hasOwn } from './processes.ts';
import type { RuncRecord } from './runc-record.ts';

/** CRIU's own name for it when runc runs it. */
export const DUMP_LOG = 'dump.log';
/** What `runc restore` looks for beside CRIU's images, to make the pipes among them anew. */
export const DESCRIPTORS = 'descriptors.json';
const NEW_CGROUP = 'NEWCGROUP';
/** As runc calls them, and `runc restore` looks for them: see `extRootNetNS` there. */
const EXTERNAL_NAMESPACES = [
  { type: 'NEWNET', kind: 'net', key: 'extRootNetNS' },
  { type: 'NEWPID', kind: 'pid', key: 'extRootPidNS' },
] as const;

/**
 * `criu dump`'s arguments for a container that runc has: what `runc checkpoint` would ask of it, read from the same record,
 * so that `runc restore` finds what it expects. runc itself would start CRIU three times for that, and itself once.
 *
 * @param frozenIn the cgroup by which it is frozen
 */
export async function dumpArgs(
  record: RuncRecord,
  { imagesDir, workDir }: Workspace,
  frozenIn: string,
): Promise<string[]> {
  const { config, init_process_pid: pid } = record;
  const connected = (await hasOwn('net', pid)) && (await hasInnerConnections(pid));
  const options = connected ? CRIU_OPTIONS_CONNECTED : CRIU_OPTIONS;
  const external = [...(await outerMounts(record)), ...outerNamespaces(record)];
  return [
    ...['dump', '--tree', `${pid}`, '--leave-running', '--root', config.rootfs],
    ...['--images-dir', imagesDir, '--work-dir', workDir, '--log-file', DUMP_LOG, '-v3'],
    ...[
      '--freeze-cgroup',
      frozenIn,
      `--manage-cgroups=${hasNamespace(record, NEW_CGROUP) ? 'soft' : 'ignore'}`,
    ],
    // As runc asks at both ends: who restores it makes its network anew, and CRIU would start a program for each part of it.
    ...['--empty-ns', 'net'],
    ...options.flatMap((option) => `--${option}`.split(' ')),
    ...external.flatMap((each) => ['--external', each]),
  ];
}

/** What is mounted into the container from outside, and is not the checkpoint's. */
async function outerMounts(record: RuncRecord): Promise<string[]> {
  const { rootfs, mounts, devices, mask_paths: masks } = record.config;
  const root = `/proc/${record.init_process_pid}/root`;
  const bound = (mounts ?? [])
    .filter(({ device }) => device === 'bind')
    .map(({ destination }) => destination);
  const points = [
    ...[...bound, ...(devices ?? []).map(({ path }) => path)].map((path) => pathInside(rootfs, path)),
    ...(await cgroupMounts(record)),
  ];
  const masked = (masks ?? []).filter((path) => isFile(`${root}${path}`));
  return [...points.map((at) => `mnt[${at}]:${at}`), ...masked.map((path) => `mnt[${path}]:/dev/null`)];
}

/** Those of cgroup v1 are bound one by one, unless the container has a cgroup namespace of its own. */
async function cgroupMounts(record: RuncRecord): Promise<string[]> {
  const roots = (record.config.mounts ?? []).filter(({ device }) => device === 'cgroup');
  if (roots.length === 0 || hasNamespace(record, NEW_CGROUP)) return [];
  const table = await readFile(`/proc/${record.init_process_pid}/mountinfo`, 'utf8');
  return table.split('\n').flatMap((line) => {
    const [, , , , point = '', ...rest] = line.split(' ');
    const isBound = roots.some(({ destination }) => point.startsWith(`${destination}/`));
    return isBound && rest[rest.indexOf('-') + 1] === 'cgroup' ? [point] : [];
  });
}

/** Namespaces that the container was given: they are at the other end already when it is restored. */
function outerNamespaces(record: RuncRecord): string[] {
  return EXTERNAL_NAMESPACES.flatMap(({ type, kind, key }) => {
    const path = record.config.namespaces?.find((namespace) => namespace.type === type)?.path;
    return path ? [`${kind}[${statSync(path).ino}]:${key}`] : [];
  });
}

function hasNamespace({ config }: RuncRecord, type: string): boolean {
  return config.namespaces?.some((namespace) => namespace.type === type) ?? false;
}

function isFile(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isDirectory();
}
