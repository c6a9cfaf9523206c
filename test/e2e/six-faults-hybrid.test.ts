import { Strategy } from '../../migrator/events.ts';
import { surviveSixFaults } from './six-faults.ts';

await surviveSixFaults(Strategy.hybrid);
