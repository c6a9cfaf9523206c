import type { Agent } from './agents.ts';
import { instanceLost } from './loss.ts';

/**
 * A host that a crashed migration names and the configuration does not any more: it is gone for good, by its operator's
 * word. There is nothing on it to be undone, and nothing to go on with.
 */
export function goneHost(host: string, container: string): Agent {
  const nothing = async () => {};
  const lost = () => Promise.reject(instanceLost(container, `${host} is not in the configuration any more`));
  return {
    host,
    url: '',
    info: lost,
    measure: lost,
    examine: lost,
    admit: lost,
    prepare: lost,
    connect: lost,
    bring: lost,
    preCopy: lost,
    standBy: lost,
    getReady: lost,
    freeze: lost,
    dump: lost,
    send: lost,
    restore: lost,
    restoreFrozen: lost,
    resume: lost,
    sums: lost,
    rangeSums: lost,
    health: lost,
    commit: lost,
    pageIn: lost,
    discard: nothing,
    thaw: lost,
    finish: nothing,
  };
}
