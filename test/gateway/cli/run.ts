import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { build, PLAIN_NODE, repoDir } from '../../build.mjs';

const program = path.join(repoDir, build(), 'gateway/main.js');

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `gateway ARGS…` as a child process. */
export function spawnGateway(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  return spawn('/usr/bin/env', [...PLAIN_NODE, process.execPath, program, ...args], {
    cwd: repoDir,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export async function gateway(args: readonly string[], env?: Record<string, string>): Promise<Finished> {
  return finished(spawnGateway(args, env));
}

export function finished(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
