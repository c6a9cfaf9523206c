import { Strategy } from '../../migrator/events.ts';
import { hostFaults, survivePagingFaults } from './paging-faults.ts';

await survivePagingFaults(hostFaults(Strategy.hybrid));
