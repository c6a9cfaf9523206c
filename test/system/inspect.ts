import { type Dirent, readdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { LabHost } from '../lab/lab.ts';

/** One container as runc itself tells of it, whatever the product says. */
export interface Instance {
  readonly host: string;
  readonly id: string;
  /** As runc: `running`, `paused`, `stopped`, `created`. */
  readonly status: string;
  readonly pid: number;
}

/** What a host carries, for comparing before and after. */
export interface Inventory {
  readonly mounts: readonly string[];
  readonly files: readonly string[];
  readonly cgroups: readonly string[];
  readonly programs: readonly string[];
}

const TIMEOUT_MS = 10_000;
export const AGENT_STATE_DIR = '/run/holdfast';

/** Where Docker's runtimes keep theirs. */
const DOCKER_RUNC_ROOTS = '/run/docker/runtime-runc';

/** Containers on a host by every runc root below the agent's state directory and Docker's. */
export async function instancesOn(host: LabHost): Promise<Instance[]> {
  const states = [AGENT_STATE_DIR, DOCKER_RUNC_ROOTS].flatMap((top) =>
    below(host, top).map(({ file }) => path.join(top, file)),
  );
  const roots = new Set(
    states.filter((file) => path.basename(file) === 'state.json').map((file) => path.join(file, '../..')),
  );
  const lists = await Promise.all(
    [...roots].map(async (root) => {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const { stdout } = await host.exec('runc', ['--root', root, 'list', '-f', 'json'], { signal });
      return (JSON.parse(stdout) ?? []) as { id: string; status: string; pid: number }[];
    }),
  );
  return lists.flat().map(({ id, status, pid }) => ({ host: host.name, id, status, pid }));
}

/** Taken when no migration is under way. Read from the machine: to start programs on the host takes ten times as long. */
export async function inventoryOf(host: LabHost): Promise<Inventory> {
  const mountinfo = await readFile(`/proc/${host.initPid}/mountinfo`, 'utf8');
  const mounts = mountinfo.split('\n').filter(Boolean);
  const pids = (await readdir(path.join(host.rootDir, 'proc'))).filter((name) => /^\d+$/.test(name));
  const programs = await Promise.all(
    pids.map((pid) => readFile(path.join(host.rootDir, 'proc', pid, 'comm'), 'utf8').catch(() => '')),
  );
  const sorted = (lines: readonly string[]) => lines.map((line) => line.trimEnd()).sort();
  return {
    mounts: sorted(mounts.map((line) => line.split(' ')).map((fields) => `${fields[4]} ${fields[8]}`)),
    // Whatever the agent has on tmpfs, save the first level of empty directories, which it makes once and keeps.
    files: sorted(
      below(host, AGENT_STATE_DIR)
        .filter(({ file, isDirectory }) => !isDirectory || file.includes('/'))
        .map(({ file }) => file),
    ),
    cgroups: sorted(
      below(host, '/sys/fs/cgroup')
        .filter(({ isDirectory }) => isDirectory)
        .map(({ file }) => file),
    ),
    programs: sorted(programs).filter((name) => /^(criu|runc|tar|socat)/.test(name)),
  };
}

/** All files and directories below a directory of a host, without those that go away meanwhile. */
function below(host: LabHost, top: string, dir = ''): { file: string; isDirectory: boolean }[] {
  return entriesOf(path.join(host.rootDir, top, dir)).flatMap((entry) => {
    const file = path.join(dir, entry.name);
    const isDirectory = entry.isDirectory();
    return [{ file, isDirectory }, ...(isDirectory ? below(host, top, file) : [])];
  });
}

function entriesOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return []; // A cgroup that is gone but open is no device.
    throw error;
  }
}

/** What is there now and was not before, in words. */
export function additions(before: Inventory, now: Inventory): string[] {
  const kinds = Object.keys(now) as (keyof Inventory)[];
  return kinds.flatMap((kind) => {
    const old = new Set(before[kind]);
    return now[kind].filter((one) => !old.has(one)).map((one) => `${kind}: ${one}`);
  });
}
