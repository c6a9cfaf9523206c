import { readFile, stat } from 'node:fs/promises';
import { normalize } from 'node:path/posix';
import { isOnNetwork, unescaped } from '../../../files/shared-storage.ts';
import type { Finding } from '../../engine.ts';
import type { StorageMode } from '../config.ts';
import { MOUNT_FIELDS } from './belongings-fields.ts';
import type { Bind } from './docker-settings.ts';
import { findingOf, sift } from './field.ts';
import type { Inspected, MountPoint, MountSpec } from './inspected.ts';

/** Where Docker mounts docker-init, for `--init`. In images with a merged /usr, /sbin is a link. */
const INIT = '/sbin/docker-init';

/** What agent.yaml says of mounts, by their paths in the container. */
export type Storage = Readonly<Record<string, StorageMode>>;

/** `Binds` and `Mounts` for a container that is to have the same volumes. */
export interface NamedMounts {
  readonly binds: readonly string[];
  readonly mounts: readonly MountSpec[];
  readonly findings: readonly Finding[];
}

/**
 * Volumes that were not given a name (`VOLUME` of the image, `--volume /path`) are asked for by the name that Docker
 * gave them: their content is to be found at the other end, and again on the way back. The price is that
 * `docker rm --volumes` then leaves them.
 */
export function namedMounts(container: Inspected): NamedMounts {
  const { HostConfig } = container;
  const findings: Finding[] = [];
  const points = container.Mounts ?? [];
  const mounts = (HostConfig.Mounts ?? []).map((spec): MountSpec => {
    const sifted = sift(spec, MOUNT_FIELDS, container);
    findings.push(...sifted.refusals.map(findingOf));
    const source = spec.Source || pointAt(points, spec.Target)?.Name;
    return { ...(sifted.carried as MountSpec), ...(source === undefined ? {} : { Source: source }) };
  });
  const binds = (HostConfig.Binds ?? []).filter((bind) => bind.includes(':'));
  const named = [...binds.map((bind) => bind.split(':')[1] ?? ''), ...mounts.map(({ Target }) => Target)].map(
    clean,
  );
  for (const { Type, Name, Destination, RW } of points) {
    if (Type !== 'volume' || Name === undefined || named.includes(clean(Destination))) continue;
    mounts.push({ Type, Source: Name, Target: Destination, ...(RW ? {} : { ReadOnly: true }) });
  }
  return { binds, mounts, findings };
}

/** What of this host the container has in it, and what cannot be had at another. */
export async function bindsOf(
  container: Inspected,
  init: boolean,
  storage: Storage = {},
): Promise<{ binds: Bind[]; findings: Finding[] }> {
  const binds: Bind[] = [];
  const findings: Finding[] = [];
  const points = (container.Mounts ?? []).filter(({ Type }) => Type === 'bind');
  for (const source of new Set(points.map(({ Source }) => Source))) {
    const kind = await kindOf(source);
    if (kind !== 'directory' && kind !== 'file') {
      findings.push(unmovable(source, kind));
      continue;
    }
    const here = points.filter(({ Source }) => Source === source);
    const declared = here.map(({ Destination }) => storage[clean(Destination)]).find((mode) => mode);
    if (declared === 'local') findings.push(notCopied(source));
    if (declared === 'shared' && kind === 'file') findings.push(notProvable(source));
    // What is only read is what it is at each host.
    const isDetected = kind === 'directory' && here.some(({ RW }) => RW) && (await isOnNetwork(source));
    const isShared = declared === undefined ? isDetected : declared === 'shared';
    binds.push({ source, kind, ...(isShared ? { shared: true } : {}) });
  }
  findings.push(...(await unknownToCriu(container, init)));
  return { binds, findings };
}

/**
 * CRIU is told of mounts by the paths that Docker was asked for. A path of the host comes with what is mounted below it,
 * unasked; and one that leads through a symbolic link is mounted somewhere else than it says.
 */
async function unknownToCriu({ State, Mounts }: Inspected, init: boolean): Promise<Finding[]> {
  const text = State.Pid === 0 ? '' : await readFile(`/proc/${State.Pid}/mountinfo`, 'utf8').catch(() => '');
  if (text === '') return []; // It does not run, which is told of elsewhere.
  const points = Mounts ?? [];
  const asked = [...points.map(({ Destination }) => Destination), ...(init ? [INIT] : [])];
  const why = 'CRIU knows only what is mounted by itself, and where it was asked for';
  return [
    ...strayMounts(text, points).map((path) => `${path} mounted by way of a directory above it`),
    ...detouredMounts(text, asked).map((path) => `${path} mounted by way of a symbolic link`),
  ].map((what) => findingOf({ code: 'SETTING_REFUSED', asked: what, why }));
}

/** @param mountinfo of a process in the container */
export function strayMounts(mountinfo: string, points: readonly MountPoint[]): string[] {
  const known = points.map(({ Destination }) => clean(Destination));
  const binds = points.filter(({ Type }) => Type === 'bind').map(({ Destination }) => clean(Destination));
  return mountPoints(mountinfo).filter(
    (path) => !known.includes(path) && binds.some((bind) => path.startsWith(`${bind}/`)),
  );
}

/** @param destinations where mounts were asked for */
export function detouredMounts(mountinfo: string, destinations: readonly string[]): string[] {
  const mounted = new Set(mountPoints(mountinfo));
  return destinations.map(clean).filter((path) => !mounted.has(path));
}

function mountPoints(mountinfo: string): string[] {
  return mountinfo.split('\n').map((line) => unescaped(line.split(' ')[4] ?? ''));
}

function notCopied(source: string): Finding {
  return findingOf({
    code: 'SETTING_REFUSED',
    asked: `${source} mounted as \`local\` storage`,
    why: 'paths of the host are not copied, only volumes are',
  });
}

function notProvable(source: string): Finding {
  return findingOf({
    code: 'SETTING_REFUSED',
    asked: `${source} mounted as \`shared\` storage`,
    why: 'it is a file, and only of a directory can that be proven',
  });
}

/** What is said of storage that the container does not have. */
export function unknownStorage({ Mounts }: Inspected, storage: Storage): Finding[] {
  const known = new Set((Mounts ?? []).map(({ Destination }) => clean(Destination)));
  return Object.keys(storage)
    .filter((path) => !known.has(path))
    .map((path) => ({
      code: 'SETTING_UNKNOWN',
      message: `agent.yaml tells of storage at ${path}, where the container has nothing mounted`,
      mend: 'name a path that is mounted, as `docker inspect` has it under Mounts',
    }));
}

function unmovable(source: string, kind: Kind): Finding {
  if (kind !== 'missing') {
    const why = `it is a ${kind}, and what is behind it is this host's`;
    return findingOf({ code: 'HOST_DEVICE', asked: `${source} mounted`, why });
  }
  return {
    code: 'MOUNT_SOURCE_MISSING',
    message: `${source} is mounted, and is not at its place any more`,
    mend: 'put it back, or start the container without it',
  };
}

type Kind = 'directory' | 'file' | 'socket' | 'device' | 'missing';

/** What a path is, links followed. */
export async function kindOf(path: string): Promise<Kind> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return 'missing';
  if (found.isDirectory()) return 'directory';
  if (found.isFile()) return 'file';
  return found.isSocket() || found.isFIFO() ? 'socket' : 'device';
}

function pointAt(points: readonly MountPoint[], target: string): MountPoint | undefined {
  return points.find(({ Destination }) => clean(Destination) === clean(target));
}

export function clean(path: string): string {
  const plain = normalize(path);
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain;
}
