import { Deadlines } from './deadlines.ts';
import type { HostContext } from './host.ts';

/**
 * Tell the engine that a container is for good, in its turn. Nobody waits for it: whatever it has to do then, the app runs.
 * What fails is made up for by the next start of the agent.
 */
export function keep(host: HostContext, container: string): void {
  const belongings = host.engines.find((engine) => engine.containers().includes(container))?.belongings;
  if (!belongings) return;
  const kept = host.turns.take('', container, Deadlines.keepMs, (signal) =>
    belongings.keep(container, signal),
  );
  kept.catch((err: unknown) => {
    host.log.error({ container, err }, 'the engine could not take it over for good, for now');
  });
}
