import { carryAll } from './memory-kinds.ts';

await carryAll([
  { kind: 'shared', name: 'memory that processes share', grows: 'heard' },
  { kind: 'memfd', name: 'a memfd, mapped and by its descriptor, and what was written before it' },
  { kind: 'shm', name: 'POSIX shared memory, also when it was unlinked', grows: 'childCycles' },
  { kind: 'file', name: 'private pages of a file, written and not' },
  {
    kind: 'huge',
    name: 'transparent huge pages, and holes in them',
    unlike: ({ hugeKib }) => (hugeKib === 0 ? 'the kernel gave no huge page' : undefined),
  },
  { kind: 'guard', name: 'pages that must not be touched, with what is in them' },
  { kind: 'hugetlb', name: 'reserved huge pages', refused: 'HUGETLB_MAPPED' },
  { kind: 'unforked', name: 'memory that children do not get' },
  {
    kind: 'swapped',
    name: 'pages that are swapped out',
    unlike: ({ swapKib }) => (swapKib === 0 ? 'this machine has no swap' : undefined),
  },
]);
