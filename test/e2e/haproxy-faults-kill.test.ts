import { surviveInEachPhase } from './haproxy-faults.ts';

await surviveInEachPhase({
  name: 'killed and started again',
  make: async (haproxy) => {
    await haproxy.kill();
    await haproxy.run();
  },
  dies: true,
});
