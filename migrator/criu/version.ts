import { release } from 'node:os';
import { HoldfastError } from '../errors.ts';
import { run } from '../process.ts';

/** `network-lock skip`, on which the short freeze rests, came with 3.18 (commit c97cc6a6c). */
const OLDEST = '3.18';
/**
 * From Linux 6.16 on SO_PASSCRED is refused for anything but Unix sockets, and older CRIU asks for it on every
 * socket: no process with a TCP socket can be dumped (mended in 4.2, commit 4b7398595). CRIU before 4.1 does not know
 * these kernels' vDSO either.
 */
const OLDEST_ON_NEW_KERNEL = '4.2';
const NEW_KERNEL = '6.16';

/** CRIU's version, as `criu --version` tells it. @throws `CRIU_UNUSABLE`, `PROGRAM_MISSING` */
export async function criuVersion(signal: AbortSignal): Promise<string> {
  const { stdout, stderr } = await run('criu', ['--version'], { signal });
  const version = /Version:\s*(\d+(?:\.\d+)*)/.exec(stdout)?.[1];
  if (version !== undefined) return version;
  throw new HoldfastError('CRIU_UNUSABLE', `criu --version says nothing of a version: ${stderr || stdout}`, {
    mend: 'install CRIU 4.2 or newer',
  });
}

/** The oldest CRIU that works on this kernel. */
export function oldestCriu(kernel = release()): string {
  return compareVersions(kernel, NEW_KERNEL) >= 0 ? OLDEST_ON_NEW_KERNEL : OLDEST;
}

/** Less than, equal to or greater than zero, number by number; what follows the numbers does not count. */
export function compareVersions(one: string, other: string): number {
  const [left, right] = [numbersOf(one), numbersOf(other)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbersOf(version: string): number[] {
  return (/^\d+(?:\.\d+)*/.exec(version)?.[0] ?? '0').split('.').map(Number);
}
