import { carryAll } from './memory-kinds.ts';

await carryAll([
  { kind: 'shared', name: 'memory that processes share', grows: 'heard' },
  { kind: 'memfd', name: 'a memfd, mapped and by its descriptor, and what was written before it' },
  { kind: 'shm', name: 'POSIX shared memory, also when it was unlinked', grows: 'childCycles' },
  { kind: 'file', name: 'private pages of a file, written and not' },
]);
