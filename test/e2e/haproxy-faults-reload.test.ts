import { surviveInEachPhase } from './haproxy-faults.ts';

await surviveInEachPhase({
  name: 'reloaded',
  make: (haproxy) => haproxy.reload(),
  dies: false,
});
