import { HoldfastError } from '../errors.ts';

/** Memory that could not be read is not known to agree with anything. */
export function memoryUnreadable(pid: number, cause: unknown): HoldfastError {
  return new HoldfastError(
    'MEMORY_UNREADABLE',
    `the memory of process ${pid} could not be read for its checksum`,
    {
      mend: 'migrate again; without --verify if it recurs',
      cause,
    },
  );
}
