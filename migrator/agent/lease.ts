import { type HostContext, migrationOver, recordUnderWay } from './host.ts';
import { MigrationRole } from './protocol.ts';
import type { MigrationRecord, Phase } from './records.ts';

/**
 * How long things made for a migration may stay without a word from the gateway. It runs from the end of `prepare`, or
 * of what was sent ahead, and nothing renews it after that: a gateway that waits as long from any later moment knows that no instance is left, also
 * when a call of its own was on the way all the time.
 */
export class Leases {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Migrations whose instance is being, or was, destroyed: no commit for them, whatever the record still says. */
  readonly #fenced = new Set<string>();
  readonly #onExpired: (id: string) => void;

  constructor(onExpired: (id: string) => void) {
    this.#onExpired = onExpired;
  }

  begin(id: string, leaseMs: number): void {
    this.end(id);
    this.#timers.set(
      id,
      setTimeout(() => {
        this.fence(id);
        this.#onExpired(id);
      }, leaseMs),
    );
  }

  /** From here on `id` cannot be committed. */
  fence(id: string): void {
    this.end(id);
    this.#fenced.add(id);
  }

  isFenced(id: string): boolean {
    return this.#fenced.has(id);
  }

  /** The lease is fulfilled, or there is nothing left of what it was for. */
  end(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  /** The record says it all by now. */
  forget(id: string): void {
    this.end(id);
    this.#fenced.delete(id);
  }

  close(): void {
    for (const id of this.#timers.keys()) this.end(id);
  }
}

/**
 * What is on record of a migration that is under way at its destination here, and not on its way out.
 *
 * @throws HoldfastError as `recordUnderWay`
 */
export function leasedRecord(
  host: HostContext,
  leases: Leases,
  id: string,
  expected: { readonly call: string; readonly phases: readonly Phase[] },
): MigrationRecord {
  const known = host.records.get(id);
  if (known !== undefined && leases.isFenced(id)) throw migrationOver(id, known.phase);
  return recordUnderWay(host, id, { ...expected, role: MigrationRole.destination });
}
