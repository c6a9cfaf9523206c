import { childrenOf, processCpuMs } from '../process-cpu.ts';

/** CPU time of all threads of the program behind `doorPid`, which a lab host's `spawn` went in by. */
export function agentCpuMs(doorPid: number | undefined): number {
  const [program] = doorPid === undefined ? [] : childrenOf(doorPid);
  if (program === undefined) throw new Error('the agent does not run');
  return processCpuMs(program);
}
