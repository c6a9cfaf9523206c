import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type RunOptions, runOnRecord } from './operation.ts';

export interface RuncResult {
  readonly code: number;
  /** What runc had to say of errors. */
  readonly said: string;
}

/** Run runc to its end: see `runOnRecord`. */
export async function runc(
  args: readonly string[],
  options: Omit<RunOptions, 'logDir'> & { readonly logFile: string },
): Promise<RuncResult> {
  const { logFile } = options;
  const code = await runOnRecord('runc', ['--log', logFile, ...args], {
    ...options,
    logDir: dirname(logFile),
  });
  return { code, said: code === 0 ? '' : await errorsIn(logFile) };
}

async function errorsIn(logFile: string): Promise<string> {
  const log = await readFile(logFile, 'utf8').catch(() => '');
  const errors = log.matchAll(/level=(?:error|fatal) msg=(".*")$/gm);
  return [...errors].map(([, quoted = '""']) => quoted.slice(1, -1)).join('\n');
}
