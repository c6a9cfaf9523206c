import { removeLab } from './remove.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const owned = new Set<string>();

/**
 * From now on the lab does not outlive this process: not its normal end, `process.exit`, an uncaught exception,
 * Ctrl-C, SIGTERM or SIGHUP. What SIGKILL leaves behind, `pruneLabs` finds.
 */
export function own(lab: string): void {
  owned.add(lab);
  listen('exit', removeOwned);
  for (const name of SIGNALS) listen(name, endBySignal);
}

function listen(event: string, listener: (name: NodeJS.Signals) => void): void {
  if (!process.listeners(event as NodeJS.Signals).includes(listener)) process.on(event, listener);
}

export function disown(lab: string): void {
  owned.delete(lab);
  if (owned.size === 0) for (const name of SIGNALS) process.off(name, endBySignal);
}

function removeOwned(): void {
  for (const lab of owned) {
    owned.delete(lab);
    try {
      removeLab(lab);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    }
  }
}

/**
 * A signal that is listened to no longer ends the process: it is sent once more when we listen no longer. Whoever
 * else listens gets it twice.
 */
function endBySignal(name: NodeJS.Signals): void {
  process.off(name, endBySignal);
  removeOwned();
  process.kill(process.pid, name);
}
