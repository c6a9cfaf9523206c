import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 2;

/**
 * Kill every process in a cgroup and below it, frozen or not, and wait until none is left. There is no deadline: a process
 * that waits for a page for ever must not be let go of, or the kernel would give it zeros.
 */
export async function fence(cgroupDir: string): Promise<void> {
  for (let pids = await pidsUnder(cgroupDir); pids.length > 0; pids = await pidsUnder(cgroupDir)) {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended in the meantime.
      }
    }
    // What the freezer of cgroup v1 holds takes its SIGKILL when it is thawed, before anything else. Version 2 has no such file.
    await writeFile(path.join(cgroupDir, 'freezer.state'), 'THAWED', { flag: 'r+' }).catch(() => {});
    await sleep(POLL_MS);
  }
}

async function pidsUnder(dir: string): Promise<number[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const text = await readFile(path.join(dir, 'cgroup.procs'), 'utf8').catch(() => '');
  // Zero stands for a process of another pid namespace, which a signal cannot reach.
  const own = text.split('\n').map(Number).filter(Boolean);
  const below = entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => pidsUnder(path.join(dir, name)));
  return [...own, ...(await Promise.all(below)).flat()];
}
