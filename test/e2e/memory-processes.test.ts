import { carryAll } from './memory-kinds.ts';

await carryAll([
  { kind: 'forks', name: 'a process that forks all the while', grows: 'childCycles' },
  { kind: 'dies', name: 'processes that die all the while', grows: 'childCycles' },
  { kind: 'many', name: 'eight processes that were forked from one', grows: 'childCycles' },
  {
    kind: 'threads',
    command: ['/usr/bin/node', '/srv/threads.mjs'],
    name: 'many threads',
    grows: 'childCycles',
  },
]);
