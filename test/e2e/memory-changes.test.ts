import { carryAll } from './memory-kinds.ts';

await carryAll([
  { kind: 'writer', name: 'memory that is filled with a known pattern all the while' },
  { kind: 'remaps', name: 'memory that is mapped, unmapped and moved all the while' },
]);
