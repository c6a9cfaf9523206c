import { Strategy } from '../../migrator/events.ts';
import { roundsFaults, surviveRoundsFaults } from './rounds-faults.ts';

await surviveRoundsFaults(roundsFaults(Strategy.preCopy));
