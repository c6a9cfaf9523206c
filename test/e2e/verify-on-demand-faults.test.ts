import { fetchesOnDemand, Step, Strategy } from '../../migrator/events.ts';
import { APP } from '../system/configs.ts';
import { unwrapCriu, wrapCriu } from './criu-wrapper.ts';
import { type Fault, surviveAll } from './faults.ts';
import { lingering } from './paging-faults.ts';
import type { Scene } from './scene.ts';

/** Once every page has been given to the container, and before it is compared, spoil one of its heap. */
const SPOIL = `
if [ "$1" = lazy-pages ]; then
  /usr/sbin/criu "$@" || exit
  set -- $(cat /sys/fs/cgroup/freezer/holdfast-*-${APP}/cgroup.procs /sys/fs/cgroup/holdfast-*-${APP}/cgroup.procs 2>/dev/null)
  heap=$(grep -m1 "\\[heap\\]" /proc/$1/maps)
  printf spoilt | dd of=/proc/$1/mem bs=1 seek=$((0x\${heap%%-*} + 8192)) conv=notrunc 2>/dev/null
  exit
fi`;

const spoilt = (strategy: Strategy): Fault => ({
  name: `a page is spoilt on its way, ${strategy}`,
  strategy,
  verify: true,
  before: (scene) => wrapCriu(scene, scene.there, SPOIL),
  mend: (scene) => unwrapCriu(scene, scene.there),
  code: /^MEMORY_DIFFERS$/,
});

/** While the instance stands still and pages are missing. */
const whileFetching = (strategy: Strategy, make: (scene: Scene) => Promise<unknown>) => {
  const { before, strike } = lingering();
  const fetching = {
    at: Step.pageIn,
    make: async (scene: Scene) => {
      await make(scene);
      await scene.fast(scene.here);
    },
  };
  return { strategy, verify: true, before, strike: [...strike, fetching] };
};

const faults: Fault[] = [
  ...Object.values(Strategy).filter(fetchesOnDemand).map(spoilt),
  {
    name: 'CRIU’s daemon is killed while pages are fetched to be compared',
    ...whileFetching(Strategy.postCopy, (scene) => scene.sh(scene.there, 'pkill -9 -f "^criu lazy-pages"')),
    code: /^PAGES_LOST$/,
  },
  {
    name: 'the link between the hosts is cut while pages are fetched to be compared',
    ...whileFetching(Strategy.postCopy, (scene) => scene.part()),
    mend: (scene) => scene.rejoin(),
    code: /^PAGES_LOST$/,
  },
  {
    name: 'the agent of the destination is killed while pages are fetched to be compared',
    ...whileFetching(Strategy.hybrid, (scene) => scene.system.agent(scene.there).kill()),
  },
];

await surviveAll(faults, {
  app: { memoryMib: 48 },
  agent: (settings) => Object.assign(settings, { pagesStallMs: 2_000 }),
});
