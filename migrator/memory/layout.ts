import { readFile } from 'node:fs/promises';

/** Where a process's pages are kept at the other end: address to place, in the order of the addresses. */
export interface Layout extends Iterable<[address: number, place: number]> {
  get(address: number): number | undefined;
}

/** The layouts of a container's processes, by the pids they have inside it: CRIU's images are named by those. */
export type Layouts = ReadonlyMap<number, Layout>;

/** The pid of a process in its innermost namespace; undefined when it has ended. See proc_pid_status(5), `NSpid`. */
export async function innerPid(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const inner = /^NSpid:.*?(\d+)$/m.exec(status)?.[1];
  return inner === undefined ? undefined : Number(inner);
}
