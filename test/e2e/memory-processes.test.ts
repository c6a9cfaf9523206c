import { Strategy } from '../../migrator/events.ts';
import { carryAll } from './memory-kinds.ts';

/** A process that ends while its pages are on their way ends CRIU's daemon too, and the app is set back. */
const strategies = [Strategy.stopAndCopy, Strategy.preCopy];

await carryAll([
  { kind: 'forks', name: 'a process that forks all the while', grows: 'childCycles', strategies },
  { kind: 'dies', name: 'processes that die all the while', grows: 'childCycles', strategies },
  { kind: 'many', name: 'eight processes that were forked from one', grows: 'childCycles' },
]);
