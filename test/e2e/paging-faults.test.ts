import { fetchesOnDemand, Strategy } from '../../migrator/events.ts';
import { otherFaults, survivePagingFaults } from './paging-faults.ts';

await survivePagingFaults(Object.values(Strategy).filter(fetchesOnDemand).flatMap(otherFaults));
