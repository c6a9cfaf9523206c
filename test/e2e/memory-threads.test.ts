import { carryAll } from './memory-kinds.ts';

await carryAll([
  {
    kind: 'threads',
    command: ['/usr/bin/node', '/srv/threads.mjs'],
    name: 'many threads',
    grows: 'childCycles',
    restless: true,
  },
]);
