import { type ChildProcess, spawn } from 'node:child_process';
import { PLAIN_NODE, repoDir } from '../../test/build.mjs';

/** Loopback addresses of the benchmark's own, so that the ports are free. */
const NETWORK = '127.82.0';

/** The app that all proxies have behind them. */
export const APP_ADDRESS = `${NETWORK}.1:8081`;

/** Where a proxy listens; all of them are up at once. */
export interface Place {
  readonly users: string;
  readonly gate: string;
  readonly admin: string;
}

export function placeOf(index: number): Place {
  const address = `${NETWORK}.${index + 2}`;
  return { users: `${address}:8000`, gate: `${address}:8080`, admin: `${address}:9100` };
}

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
