import { readFileSync } from 'node:fs';
import { HoldfastError } from '../../migrator/errors.ts';

/** The proxy has a core to itself; the load and the app share the other. */
export interface Cores {
  readonly proxy: number;
  readonly load: number;
}

/** @throws HoldfastError `BENCH_CORES` when there are fewer than two */
export function twoCores(): Cores {
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const [proxy, load] = coresIn(allowed);
  if (proxy !== undefined && load !== undefined) return { proxy, load };
  throw new HoldfastError('BENCH_CORES', 'the proxy and the load need a core each, and there is but one', {
    mend: 'run it on a machine with two cores or more',
  });
}

/** The numbers in a list as the kernel writes it: `0-1,4`. */
export function coresIn(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, n) => from + n);
  });
}
