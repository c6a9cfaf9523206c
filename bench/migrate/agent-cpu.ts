import { readFileSync } from 'node:fs';

/** What /proc counts CPU time in: USER_HZ, 100 on every architecture of Linux. */
const TICK_MS = 10;

/** CPU time of all threads of the program behind `doorPid`, which a lab host's `spawn` went in by. */
export function agentCpuMs(doorPid: number | undefined): number {
  const [program] = readFileSync(`/proc/${doorPid}/task/${doorPid}/children`, 'utf8').split(' ');
  const stat = readFileSync(`/proc/${program}/stat`, 'utf8');
  // The name, which may have spaces, ends with the last bracket; utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
