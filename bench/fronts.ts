import type { GateType } from '../gateway/config/schema.ts';
import { type Edition, labEdition } from '../test/haproxy/haproxy.ts';

/** What is to stand in front of a system for a gate of this kind. */
export async function frontsOf(
  gate: GateType,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<Edition[]> {
  return gate === 'haproxy' ? [await labEdition(log, signal)] : [];
}
