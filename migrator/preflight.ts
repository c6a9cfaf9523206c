import type { Agent } from './agents.ts';
import type { Finding, Footprint } from './engine/engine.ts';
import { HoldfastError } from './errors.ts';

/** What stands against a move, found before anything was touched. */
export class Objection extends HoldfastError {}

/** What preflight has learnt of a move that nothing stands against. */
export interface Admitted {
  readonly footprint: Footprint;
  /** Whether the container owns more than memory, which has to be brought. */
  readonly brings: boolean;
}

/**
 * Ask both ends what stands against the move, while nothing has been touched yet.
 *
 * @throws Objection with the code of the first finding; the message and the mend tell all of them
 */
export async function preflight(
  order: { readonly id: string; readonly container: string },
  source: Agent,
  destination: Agent,
  signal: AbortSignal,
): Promise<Admitted> {
  const { id, container } = order;
  const { footprint, findings, brings } = await source.examine(id, container, signal);
  const admission = await destination.admit(id, container, footprint, signal);
  const all: Finding[] = [...findings, ...admission.findings];
  if (all[0] === undefined) return { footprint, brings };
  const message = all.map((finding) => finding.message).join('; ');
  throw new Objection(all[0].code, message, { mend: all.map((finding) => finding.mend).join('; ') });
}
