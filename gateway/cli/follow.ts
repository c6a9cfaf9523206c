import { setTimeout as wait } from 'node:timers/promises';
import { HoldfastError } from '../../migrator/errors.ts';
import type { MigrationEvent } from '../../migrator/events.ts';
import type { AdminClient } from './admin-client.ts';

/** Time for a gateway that died to be started again and to take up its journal. */
const LOST_DEADLINE_MS = 60_000;
const RETRY_MS = 250;

export type EndedEvent = Extract<MigrationEvent, { type: 'ended' }>;

/**
 * Tell `onEvent` every event of a migration, each once, until it has ended. A stream that is cut is taken up where it
 * was, also from a gateway that has been restarted meanwhile.
 *
 * @throws HoldfastError after `lostDeadlineMs`: `GATEWAY_UNREACHABLE` when the gateway stays away, `MIGRATION_LEFT` when
 * it does not take the migration up
 */
export async function followMigration(
  client: AdminClient,
  id: string,
  onEvent: (event: MigrationEvent) => void,
  lostDeadlineMs: number = LOST_DEADLINE_MS,
): Promise<EndedEvent> {
  let after = 0;
  let lostSince: number | undefined;
  for (;;) {
    try {
      for await (const numbered of client.events(id, after)) {
        lostSince = undefined;
        after = numbered.id;
        onEvent(numbered.event);
        if (numbered.event.type === 'ended') return numbered.event;
      }
      throw left(id); // A gateway that stops ends its streams; the next one takes the migration up.
    } catch (error) {
      lostSince ??= performance.now();
      const mayPass = error instanceof HoldfastError && error.retryable;
      if (!mayPass || performance.now() - lostSince > lostDeadlineMs) throw error;
    }
    await wait(RETRY_MS);
  }
}

function left(id: string): HoldfastError {
  return new HoldfastError(
    'MIGRATION_LEFT',
    `migration ${id} has not ended, and the gateway does not go on with it`,
    {
      mend: "see the gateway's log: the configuration may lack the app or a host of it",
      retryable: true,
    },
  );
}
