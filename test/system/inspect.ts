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

/** Containers on a host by every runc root below the agent's state directory. */
export async function instancesOn(host: LabHost): Promise<Instance[]> {
  const script = `
    find ${AGENT_STATE_DIR} -name state.json 2>/dev/null | while read file; do
      dirname "$(dirname "$file")"
    done | sort -u | while read root; do runc --root "$root" list -f json; done`;
  const text = await shell(host, script);
  const lists = text
    .split('\n')
    .filter((line) => line.startsWith('['))
    .map((line) => JSON.parse(line) as { id: string; status: string; pid: number }[]);
  return lists.flat().map(({ id, status, pid }) => ({ host: host.name, id, status, pid }));
}

/** Taken when no migration is under way. */
export async function inventoryOf(host: LabHost): Promise<Inventory> {
  const [mounts, files, cgroups, programs] = await Promise.all([
    shell(host, `awk '{print $5 " " $9}' /proc/1/mountinfo`),
    // Whatever the agent has on tmpfs, save the first level of empty directories, which it makes once and keeps.
    shell(
      host,
      `cd ${AGENT_STATE_DIR} 2>/dev/null || exit 0; find . -mindepth 1 ! -type d; find . -mindepth 2 -type d`,
    ),
    shell(host, 'find /sys/fs/cgroup -mindepth 1 -type d'),
    shell(host, 'for p in /proc/[0-9]*; do cat $p/comm 2>/dev/null || true; done'),
  ]);
  const lines = (text: string) => text.split('\n').filter(Boolean).sort();
  return {
    mounts: lines(mounts),
    files: lines(files),
    cgroups: lines(cgroups),
    programs: lines(programs).filter((name) => /^(criu|runc|tar|socat)/.test(name)),
  };
}

/** What is there now and was not before, in words. */
export function additions(before: Inventory, now: Inventory): string[] {
  const kinds = Object.keys(now) as (keyof Inventory)[];
  return kinds.flatMap((kind) => {
    const old = new Set(before[kind]);
    return now[kind].filter((one) => !old.has(one)).map((one) => `${kind}: ${one}`);
  });
}

async function shell(host: LabHost, script: string): Promise<string> {
  const { stdout } = await host.exec('sh', ['-c', script], { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return stdout;
}
