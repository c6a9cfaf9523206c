import { carryAll } from './memory-kinds.ts';

await carryAll([
  { kind: 'forks', name: 'a process that forks all the while', grows: 'childCycles', restless: true },
  { kind: 'dies', name: 'processes that die all the while', grows: 'childCycles', restless: true },
  { kind: 'many', name: 'eight processes that were forked from one', grows: 'childCycles' },
]);
