import type { Command } from './command.ts';
import { notUnderstood, refusal } from './errors.ts';

/** A worker of a master process. */
export interface Worker {
  readonly pid: number;
  /** Reloads since it was started: 0 is the one that takes new connections, the others are leaving. */
  readonly reloads: number;
  readonly version: string;
}

/** The workers a master has, those still leaving after a reload among them. */
export function showWorkers(): Command<Worker[]> {
  return { line: 'show proc', repeatable: true, ofMaster: true, read: readWorkers };
}

function readWorkers(answer: string): Worker[] {
  if (!answer.startsWith('#<PID>')) throw refusal(answer);
  return answer
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .flatMap((line): Worker[] => {
      const [pid, type, reloads, , version = ''] = line.trim().split(/\s+/);
      if (type !== 'worker') return [];
      const worker = { pid: Number(pid), reloads: Number(reloads), version };
      if (Number.isNaN(worker.pid + worker.reloads)) throw notUnderstood('a line of show proc', line);
      return [worker];
    });
}
