import { whyNoLab } from '../lab/needs-lab.ts';
import { borrowSwap } from '../system/swap.ts';
import { carryAll } from './memory-kinds.ts';

if ((await whyNoLab()) === false) borrowSwap();

await carryAll([
  {
    kind: 'huge',
    name: 'transparent huge pages, and holes in them',
    unlike: ({ hugeKib }) => (hugeKib === 0 ? 'the kernel gave no huge page' : undefined),
  },
  { kind: 'hugetlb', name: 'reserved huge pages', refused: 'HUGETLB_MAPPED' },
  { kind: 'guard', name: 'pages that must not be touched, with what is in them' },
  { kind: 'unforked', name: 'memory that children do not get' },
  {
    kind: 'swapped',
    name: 'pages that are swapped out',
    unlike: ({ swapKib }) => (swapKib === 0 ? 'this machine has no swap' : undefined),
  },
]);
