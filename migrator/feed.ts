import { EventEmitter, once } from 'node:events';
import type { MigrationEvent } from './events.ts';

/** All events of one migration, for readers who come at any time: each is told all of them, from the first on. */
export class Feed {
  readonly events: MigrationEvent[];
  #ended: boolean;
  readonly #news = new EventEmitter().setMaxListeners(0);

  constructor(events: readonly MigrationEvent[], options: { ended: boolean }) {
    this.events = [...events];
    this.#ended = options.ended;
  }

  push(event: MigrationEvent): void {
    this.events.push(event);
    this.#news.emit('news');
  }

  /** No more events will come: every reader ends once it has read what there is. */
  end(): void {
    this.#ended = true;
    this.#news.emit('news');
  }

  /** Ends after the last event of the migration, or, without an error, when `signal` fires. */
  async *read(signal: AbortSignal): AsyncGenerator<MigrationEvent> {
    for (let next = 0; !signal.aborted; ) {
      const event = this.events[next];
      if (event !== undefined) {
        next += 1;
        yield event;
      } else if (this.#ended) return;
      else await once(this.#news, 'news', { signal }).catch(() => {});
    }
  }
}
