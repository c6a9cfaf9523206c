import { HoldfastError } from '../errors.ts';
import { run } from '../process.ts';

/**
 * Whether CRIU can restore processes here ahead of their memory: the kernel's userfaultfd must tell of forks, moves and
 * unmapping too.
 */
export async function lazyPagesSupported(signal: AbortSignal): Promise<boolean> {
  try {
    const { code } = await run('criu', ['check', '--feature', 'uffd-noncoop'], { signal, okCodes: [0, 1] });
    return code === 0;
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'PROGRAM_MISSING') return false;
    throw error;
  }
}
