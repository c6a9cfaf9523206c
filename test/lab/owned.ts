import { removeLab } from './remove.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const owned = new Set<string>();
let watching = false;

/**
 * From now on the lab does not outlive this process: not its normal end, `process.exit`, an uncaught exception,
 * Ctrl-C, SIGTERM or SIGHUP. What SIGKILL leaves behind, `pruneLabs` finds.
 */
export function own(lab: string): void {
  owned.add(lab);
  if (watching) return;
  watching = true;
  process.on('exit', removeOwned);
  for (const name of SIGNALS) process.once(name, endBySignal);
}

export function disown(lab: string): void {
  owned.delete(lab);
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

/** Being heard, a signal no longer ends the process: it is sent once more, now that nobody of ours listens. */
function endBySignal(name: NodeJS.Signals): void {
  removeOwned();
  process.kill(process.pid, name);
}
