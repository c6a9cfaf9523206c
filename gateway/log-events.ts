import type { Logger } from 'pino';
import { type MigrationEvent, Outcome } from '../migrator/events.ts';

/** Somebody has lost something by these. */
const GRAVE: ReadonlySet<Outcome> = new Set([Outcome.setBack, Outcome.lost, Outcome.failed]);

/** A listener that writes one line for each thing that happens in a migration, always with its id and its app. */
export function logEvents(log: Logger): (event: MigrationEvent) => void {
  return (event) => {
    const { migrationId, app, type, at: _at, ...what } = event;
    const line = { migration: migrationId, app, event: type, ...what };
    switch (event.type) {
      case 'started':
        log.info(line, `moving ${app} from ${event.from} to ${event.to}`);
        break;
      case 'planned':
        log.info(line, `${event.strategy}: ${event.reason}`);
        break;
      case 'step-started':
        log.debug(line, `${event.step} begins`);
        break;
      case 'step-finished':
        log.info(line, `${event.step} done`);
        break;
      case 'step-failed':
        log.warn(line, `${event.step} failed: ${event.error.message}`);
        break;
      case 'undo-started':
        log.debug(line, `undoing ${event.step}`);
        break;
      case 'undo-finished':
        log.info(line, `${event.step} undone`);
        break;
      case 'pages-lost':
        log.error(line, `${app} lost what it did since ${event.since}: ${event.error.message}`);
        break;
      case 'ended':
        log[GRAVE.has(event.outcome) ? 'error' : 'info'](line, `migration ${event.outcome}`);
    }
  };
}
