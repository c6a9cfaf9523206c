import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../errors.ts';

/** A container's cgroup, whichever version the host has. */
export interface Cgroup {
  /** Its processes, and those of child cgroups, are listed below it. */
  readonly dir: string;
  /** Settles when every process is stopped. */
  freeze(signal: AbortSignal): Promise<void>;
  thaw(signal: AbortSignal): Promise<void>;
  frozen(): Promise<boolean>;
  /** Of all processes, those of child cgroups too. Empty when the cgroup is gone. */
  pids(): Promise<number[]>;
  /** Kill every process, frozen or not, without letting one run a further instruction of its own. */
  kill(signal: AbortSignal): Promise<void>;
  /** Remove the empty cgroup. */
  remove(): Promise<void>;
}

/** The directories of one container's cgroup: by controller on v1, under the empty name on v2 (runc's own words). */
export type CgroupDirs = Readonly<Record<string, string>>;

const POLL_MS = 1;
const V2 = '';

export function cgroupOf(dirs: CgroupDirs): Cgroup {
  // Where both are mounted (systemd's hybrid way) the freezer of v1 comes first: it is the one CRIU knows of, and a
  // cgroup frozen by v2 under it would have CRIU wait for ever.
  const root = dirs.freezer ?? dirs[V2] ?? '/nonexistent';
  const version = dirs.freezer === undefined ? versionTwo(root) : versionOne(root);
  return {
    ...version,
    dir: root,
    pids: () => pidsUnder(root),
    kill: async (signal) => {
      await until(signal, `the processes of ${root} to end`, async () => {
        const pids = await pidsUnder(root);
        if (pids.length > 0) await version.strike(pids);
        return pids.length === 0;
      });
    },
    remove: async () => {
      for (const dir of new Set(Object.values(dirs))) await removeTree(dir);
    },
  };
}

interface Version {
  freeze(signal: AbortSignal): Promise<void>;
  thaw(signal: AbortSignal): Promise<void>;
  frozen(): Promise<boolean>;
  strike(pids: readonly number[]): Promise<void>;
}

function versionOne(dir: string): Version {
  const file = join(dir, 'freezer.state');
  const state = async () => (await readFile(file, 'utf8')).trim();
  const turn = async (to: 'FROZEN' | 'THAWED', signal: AbortSignal) => {
    // Written each time round: a cgroup that lingers in FREEZING takes a further write to look at its tasks again.
    await until(signal, `${dir} to be ${to}`, async () => {
      await writeFile(file, to);
      return (await state()) === to;
    });
  };
  return {
    freeze: (signal) => turn('FROZEN', signal),
    thaw: (signal) => turn('THAWED', signal),
    frozen: async () => (await state().catch(() => '')) !== 'THAWED',
    // A frozen task takes its SIGKILL when it is thawed, before anything else.
    strike: async (pids) => {
      for (const pid of pids) killQuietly(pid);
      await writeFile(file, 'THAWED').catch(() => {});
    },
  };
}

function versionTwo(dir: string): Version {
  const frozen = async () =>
    /^frozen 1$/m.test(await readFile(join(dir, 'cgroup.events'), 'utf8').catch(() => ''));
  const turn = async (freeze: boolean, signal: AbortSignal) => {
    await writeFile(join(dir, 'cgroup.freeze'), freeze ? '1' : '0');
    await until(
      signal,
      `${dir} to be ${freeze ? 'frozen' : 'thawed'}`,
      async () => (await frozen()) === freeze,
    );
  };
  return {
    freeze: (signal) => turn(true, signal),
    thaw: (signal) => turn(false, signal),
    frozen,
    // SIGKILL reaches a task frozen by cgroup v2 where it is. cgroup.kill came with Linux 5.14.
    strike: async (pids) => {
      try {
        await writeFile(join(dir, 'cgroup.kill'), '1');
      } catch {
        for (const pid of pids) killQuietly(pid);
      }
    },
  };
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}

async function pidsUnder(dir: string): Promise<number[]> {
  const pids: number[] = [];
  for (const each of await tree(dir)) {
    const text = await readFile(join(each, 'cgroup.procs'), 'utf8').catch(() => '');
    pids.push(...text.split('\n').filter(Boolean).map(Number));
  }
  // Zero stands for a process of another pid namespace, which a signal cannot reach.
  return pids.filter((pid) => pid > 0);
}

async function removeTree(dir: string): Promise<void> {
  for (const each of (await tree(dir)).reverse()) {
    await rmdir(each).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

/** `dir` and all below it, parents first; nothing when it is gone. */
async function tree(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [];
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => tree(join(dir, entry.name)));
  return [dir, ...(await Promise.all(below)).flat()];
}

async function until(signal: AbortSignal, what: string, done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) {
    if (signal.aborted) {
      throw new HoldfastError('DEADLINE', `waited in vain for ${what}`, {
        retryable: true,
        cause: signal.reason,
      });
    }
    await sleep(POLL_MS);
  }
}
