import { readdir, readFile } from 'node:fs/promises';
import { livingPids } from '../oci/processes.ts';

/**
 * Processes of a container that did not come of its first one: of a health check, or of `docker exec`. CRIU cannot carry
 * them; a health check's are over in a moment.
 */
export async function strangersIn(cgroup: { pids(): Promise<number[]> }, initPid: number): Promise<number[]> {
  const kin = new Set<number>([initPid]);
  const left = [initPid];
  for (let pid = left.pop(); pid !== undefined; pid = left.pop()) {
    for (const child of await childrenOf(pid)) {
      if (kin.has(child)) continue;
      kin.add(child);
      left.push(child);
    }
  }
  return (await livingPids(cgroup)).filter((pid) => !kin.has(pid));
}

async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const texts = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')),
  );
  return texts.flatMap((text) => text.split(' ').filter(Boolean).map(Number));
}
