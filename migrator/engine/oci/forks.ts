import { readdirSync, readFileSync } from 'node:fs';

/**
 * The kernel's function in which whoever has called vfork waits, killable only, until its child calls exec or ends
 * (kernel/fork.c). posix_spawn and many shells start programs that way.
 */
const IN_FORK = /fork|^kernel_clone$/;

/**
 * Whether a thread of these processes waits for the child of its vfork. It takes no order of a tracer until then, and
 * frozen together the two wait for ever: CRIU gives up after ten seconds ("Unseizable non-zombie").
 */
export function isForking(pids: readonly number[]): boolean {
  return pids.some((pid) => threads(pid).some((tid) => IN_FORK.test(read(`/proc/${pid}/task/${tid}/wchan`))));
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // It has ended.
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
