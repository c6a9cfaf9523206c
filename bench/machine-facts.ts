import { cpus, release, totalmem } from 'node:os';
import type { LabHost } from '../test/lab/lab.ts';

/** What a figure was measured on: without it, it is not worth much. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMib: number;
  readonly kernel: string;
  readonly node: string;
  readonly at: string;
}

export function machineFacts(): MachineFacts {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() || process.arch,
    cores: all.length,
    memoryMib: Math.round(totalmem() / (1 << 20)),
    kernel: release(),
    node: process.version,
    at: new Date().toISOString(),
  };
}

const TIMEOUT_MS = 10_000;

/** The versions of what a lab host works with; programs it does not have are left out. */
export async function hostVersions(host: LabHost): Promise<Record<string, string>> {
  const script =
    'for p in criu runc podman docker node; do echo "$p $($p --version 2>/dev/null | tr "\\n" " ")"; done';
  const { stdout } = await host.exec('sh', ['-c', script], { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return Object.fromEntries(
    stdout.split('\n').flatMap((line) => {
      const [, program, version] = /^(\w+) .*?v?(\d+\.\d+[^\s,]*)/.exec(line) ?? [];
      return program === undefined || version === undefined ? [] : [[program, version]];
    }),
  );
}
