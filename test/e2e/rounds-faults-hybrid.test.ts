import { Strategy } from '../../migrator/events.ts';
import { roundsFaults, surviveRoundsFaults } from './rounds-faults.ts';

// The source and its disk have the same part in pre-copy; the destination has a pager beside it here.
await surviveRoundsFaults(roundsFaults(Strategy.hybrid).slice(0, 2));
