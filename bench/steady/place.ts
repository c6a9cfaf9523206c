import { type ChildProcess, spawn } from 'node:child_process';
import { PLAIN_NODE, repoDir } from '../../test/build.mjs';

/** A loopback address of the benchmark's own, so that the ports are free. */
const ADDRESS = '127.82.0.1';

/** Where everything listens. */
export const At = {
  users: `${ADDRESS}:8000`,
  gate: `${ADDRESS}:8080`,
  admin: `${ADDRESS}:9100`,
  app: `${ADDRESS}:8081`,
} as const;

/** Start a program that keeps to one core, and ends at the latest with this process, even if that is killed. */
export function startPinned(core: number, command: readonly string[], output: number): ChildProcess {
  const [program = '', ...args] = [
    'setpriv',
    '--pdeathsig',
    'KILL',
    'taskset',
    '-c',
    String(core),
    ...command,
  ];
  return spawn(program, args, { cwd: repoDir, stdio: ['ignore', output, output] });
}

/** Settles when something answers there. */
export async function answers(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch {
      // It does not listen yet.
    }
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function node(...args: string[]): string[] {
  return ['/usr/bin/env', ...PLAIN_NODE, process.execPath, ...args];
}
