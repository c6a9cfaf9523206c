import { carryOrSetBackAll } from './memory-kinds.ts';

await carryOrSetBackAll([
  { kind: 'forks', name: 'a process that forks all the while', grows: 'childCycles' },
  { kind: 'dies', name: 'processes that die all the while', grows: 'childCycles' },
]);
