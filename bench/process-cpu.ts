import { readFileSync } from 'node:fs';

/** What /proc counts CPU time in: USER_HZ, 100 on every architecture of Linux. */
const TICK_MS = 10;

/** CPU time of a process until now, all its threads', the kernel's for it included. */
export function processCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, which may have spaces, ends with the last bracket; utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
