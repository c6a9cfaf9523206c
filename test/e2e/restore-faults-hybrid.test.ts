import { Strategy } from '../../migrator/events.ts';
import { surviveRestoreFaults } from './restore-faults.ts';

await surviveRestoreFaults(Strategy.hybrid);
