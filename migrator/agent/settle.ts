import { FOR_AS_LONG_AS_IT_TAKES, insist } from '../deadlines.ts';
import { Deadlines } from './deadlines.ts';
import type { HostContext } from './host.ts';

/**
 * Tell the engine that no migration has a container any more: that it is for good here, or stays after all. Nobody waits for
 * it: whatever it has to do then, the app runs. An engine that is away is told when it is back.
 */
export function settle(host: HostContext, container: string): void {
  const belongings = host.engines.find((engine) => engine.containers().includes(container))?.belongings;
  if (!belongings) return;
  let failed = false;
  const tell = async () => {
    try {
      await host.turns.take('', container, Deadlines.settleMs, async (signal) => {
        if (host.records.of(container)) return; // The next migration begins with that.
        await belongings.keep(container, signal);
        await belongings.letGo(container, signal);
      });
    } catch (err) {
      if (!failed) host.log.warn({ container, err }, 'the engine is not done with a move that has ended');
      failed = true;
      throw err;
    }
  };
  const within = { attemptMs: Deadlines.settleMs, withinMs: FOR_AS_LONG_AS_IT_TAKES, signal: host.closing };
  insist(tell, within).catch((err: unknown) => {
    if (!host.closing.aborted) host.log.error({ container, err }, 'the engine cannot be done with a move');
  });
}
