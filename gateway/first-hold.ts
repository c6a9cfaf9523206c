import type { Gate, Target } from '../migrator/gate.ts';
import type { Placements } from '../migrator/placements.ts';
import type { Gates } from './gate/gates.ts';

/**
 * Hold every app until the hosts have been asked where it runs: a gateway that starts sends nothing where an app was
 * last without asking, and turns nothing away that it can answer a moment later. Apps that were never seen have
 * nothing to be released to, and are not held.
 *
 * @param undecided apps whose migration a crash left: they stay held until that has been finished or undone
 * @returns to be called when the hosts have been asked
 */
export function holdUntilAsked(
  apps: Iterable<string>,
  gates: Gates & Gate,
  placements: Placements,
  undecided: readonly string[],
): () => Promise<void> {
  const waiting = new Map<string, Target>();
  for (const app of apps) {
    const host = placements.hostOf(app);
    if (!undecided.includes(app)) {
      if (host === undefined) continue;
      waiting.set(app, placements.targetAt(app, host));
    }
    gates.closeAtStart(app);
  }
  return async () => {
    await Promise.all(
      [...waiting].map(([app, lastKnown]) => {
        const host = placements.hostOf(app);
        // An app that runs nowhere is let go to where it was: its requests fail at once, rather than after a wait.
        return gates.release(app, host === undefined ? lastKnown : placements.targetAt(app, host));
      }),
    );
  };
}
