import type { Logger } from 'pino';
import { Deadlines, FOR_AS_LONG_AS_IT_TAKES, insist } from './deadlines.ts';
import type { Outcome } from './events.ts';
import type { Journal } from './journal.ts';
import type { Migration } from './migration.ts';

/** Takes away what ended migrations left on their hosts, for as long as a host does not answer; then their journals are closed. */
export class Tidying {
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #underWay = new Set<Promise<void>>();

  /** @param options.signal leave the rest to the next gateway, which finds the journals open */
  constructor(options: { readonly log: Logger; readonly signal: AbortSignal }) {
    this.#log = options.log;
    this.#signal = options.signal;
  }

  /** @param clean nothing is left of it but its journal */
  begin(migration: Migration, journal: Journal, outcome: Outcome, clean: boolean): void {
    const tidied = this.#tidy(migration, journal, outcome, clean);
    this.#underWay.add(tidied);
    tidied.finally(() => this.#underWay.delete(tidied));
  }

  /** Once `signal` has fired, this is soon. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #tidy(migration: Migration, journal: Journal, outcome: Outcome, clean: boolean): Promise<void> {
    try {
      if (!clean) {
        await insist(() => migration.cleanUp(outcome), {
          attemptMs: Deadlines.cleanupMs,
          withinMs: FOR_AS_LONG_AS_IT_TAKES,
          signal: this.#signal,
        });
      }
      await journal.append({ type: 'closed' }, { durable: true });
    } catch (error) {
      this.#log.warn({ err: error, outcome }, 'something of a migration is left on a host');
    } finally {
      await journal.close();
    }
  }
}
