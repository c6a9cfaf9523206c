import type { Test } from 'tap';
import { describe } from '../../../../../migrator/engine/docker/settings/describe.ts';
import { type Changes, engineInfo, inspected } from './recorded.ts';
import { type Holdings, StandIn } from './stand-in.ts';

/** What is told of a recorded container with these changes. */
export async function described(t: Test, changes: Changes = {}, holdings: Partial<Holdings> = {}) {
  const standIn = await StandIn.open({
    info: engineInfo(),
    ...holdings,
    containers: { ...holdings.containers, shop: inspected(changes) },
  });
  t.teardown(standIn.close);
  return describe(standIn.docker, 'shop', AbortSignal.timeout(10_000));
}
