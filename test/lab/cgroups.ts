import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** One cgroup hierarchy of the machine: a single one with v2, one for each set of controllers with v1, or both. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /** Mount options of v1 that name the hierarchy: `memory`, `cpu,cpuacct`, `none,name=systemd`. */
  readonly controllers: string;
}

/** A lab's own directory in a hierarchy. */
function topOf(hierarchy: Hierarchy, lab: string): string {
  return path.join(hierarchy.mountPoint, `holdfast-lab-${lab}`);
}

export function hierarchies(): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, mountPoint = '', type, options = ''] = line.split(' ');
    if (!/^\/sys\/fs\/cgroup(\/[^/]+)?$/.test(mountPoint)) continue;
    if (type === 'cgroup2') found.push({ version: 2, mountPoint, controllers: '' });
    if (type === 'cgroup') found.push({ version: 1, mountPoint, controllers: v1Name(options) });
  }
  return found;
}

function v1Name(options: string): string {
  const generic = new Set([
    'rw',
    'ro',
    'relatime',
    'noatime',
    'nosuid',
    'nodev',
    'noexec',
    'xattr',
    'clone_children',
  ]);
  const names = options
    .split(',')
    .filter((option) => !generic.has(option) && !option.startsWith('release_agent'));
  return names.some((name) => name.startsWith('name=')) ? ['none', ...names].join(',') : names.join(',');
}

export function hostCgroup(hierarchy: Hierarchy, lab: string, host: string): string {
  return path.join(topOf(hierarchy, lab), host);
}

/**
 * Where a process that enters a host belongs. With v2 a group whose children have controllers may hold no
 * process itself, so the host's own processes are in a leaf.
 */
export function entryCgroup(hierarchy: Hierarchy, lab: string, host: string): string {
  const group = hostCgroup(hierarchy, lab, host);
  return hierarchy.version === 2 ? path.join(group, 'init') : group;
}

/** Make the groups of one host in every hierarchy. */
export function makeCgroups(lab: string, host: string): void {
  for (const hierarchy of hierarchies()) {
    for (const group of [topOf(hierarchy, lab), hostCgroup(hierarchy, lab, host)]) {
      mkdirSync(group, { recursive: true });
      if (hierarchy.version === 2) delegate(path.dirname(group));
      else inheritCpuset(group);
    }
    if (hierarchy.version === 2) mkdirSync(entryCgroup(hierarchy, lab, host), { recursive: true });
  }
}

/** With v2: let the groups below `group` have all the controllers that `group` has. */
function delegate(group: string): void {
  for (const controller of read(path.join(group, 'cgroup.controllers')).split(/\s+/).filter(Boolean)) {
    try {
      writeFileSync(path.join(group, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Not every controller can be handed down on every machine; runc says it if it lacks one it needs.
    }
  }
}

/** With v1: no process can enter a new cpuset before it has CPUs and memory nodes. */
function inheritCpuset(group: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (read(path.join(group, file)).trim() !== '') continue;
    const inherited = read(path.join(path.dirname(group), file));
    if (inherited !== '') writeFileSync(path.join(group, file), inherited);
  }
}

/** With v2: move the host's own processes into their leaf, so that its containers can be given controllers. */
export function settleCgroups(lab: string, host: string): void {
  for (const hierarchy of hierarchies()) {
    if (hierarchy.version !== 2) continue;
    const group = hostCgroup(hierarchy, lab, host);
    for (const pid of processesOf([group])) {
      writeFileSync(path.join(entryCgroup(hierarchy, lab, host), 'cgroup.procs'), String(pid));
    }
    delegate(group);
  }
}

/** All the groups of a lab or of one of its parts, the deepest first. */
export function cgroupsOf(lab: string, member = ''): string[] {
  return hierarchies().flatMap((hierarchy) => tree(path.join(topOf(hierarchy, lab), member)));
}

function tree(group: string): string[] {
  try {
    const below = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...below.flatMap((entry) => tree(path.join(group, entry.name))), group];
  } catch {
    return [];
  }
}

export function processesOf(groups: readonly string[]): number[] {
  const pids = groups.flatMap((group) => read(path.join(group, 'cgroup.procs')).split('\n').filter(Boolean));
  return [...new Set(pids)].map(Number).filter((pid) => pid > 0);
}

/** A frozen process of v1 does not die of SIGKILL before it is thawed. */
export function thaw(groups: readonly string[]): void {
  for (const group of groups) {
    if (read(path.join(group, 'freezer.state')).trim() === 'THAWED') continue;
    for (const [file, value] of [
      ['freezer.state', 'THAWED'],
      ['cgroup.freeze', '0'],
    ] as const) {
      try {
        writeFileSync(path.join(group, file), value, { flag: 'r+' });
      } catch {
        // Not a group of the freezer, or gone meanwhile.
      }
    }
  }
}

/** Remove those groups of a lab, or of one of its parts, that are empty; true when none is left. */
export function removeCgroups(lab: string, member = ''): boolean {
  for (const group of cgroupsOf(lab, member)) remove(group);
  return cgroupsOf(lab, member).length === 0;
}

function remove(group: string): void {
  try {
    rmdirSync(group);
  } catch {
    // Still busy with a process that is about to end, or not there.
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
