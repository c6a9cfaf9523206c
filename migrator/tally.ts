import type { PageInReply } from './agent/protocol.ts';
import type { CarriedBytes } from './engine/engine.ts';
import type { Figures } from './events.ts';

/** What one migration costs, as it comes to be known. Moments are by this process's `performance.now()`. */
export class Tally {
  readonly #orderedAt = performance.now();
  #figures: Omit<Figures, 'totalMs'> = {};
  #frozenAt: number | undefined;
  #committedAt: number | undefined;

  add(figures: Omit<Figures, 'totalMs'>): void {
    this.#figures = { ...this.#figures, ...figures };
  }

  /** What the container owns besides its memory, and was put on the link now. */
  carried({ layerBytes, fileBytes }: CarriedBytes): void {
    const { layerBytes: layersBefore = 0, fileBytes: filesBefore = 0 } = this.#figures;
    this.add({ layerBytes: layersBefore + layerBytes, fileBytes: filesBefore + fileBytes });
  }

  frozen(at: number): void {
    this.#frozenAt = at;
  }

  /** Of the last time, should it thaw twice: at the destination, and at the source after all. */
  thawed(at: number): void {
    if (this.#frozenAt !== undefined) this.add({ frozenMs: at - this.#frozenAt });
  }

  /** Every page that was fetched on demand is at the destination. */
  fetched({ pageInMs, fromStoreBytes, fromSourceBytes, waits, bytesSent }: PageInReply): void {
    this.add({ pageInMs, fromStoreBytes, fromSourceBytes, pageWaits: waits });
    // Unknown after a restart of the gateway: a part of it would be too good.
    const before = this.#figures.bytesSent;
    if (before !== undefined) this.add({ bytesSent: before + bytesSent });
  }

  /** Whether it is known here that no page is missing at the destination any more. */
  get allFetched(): boolean {
    return this.#figures.pageInMs !== undefined;
  }

  /** The move is made: what follows is no part of the time it took. */
  committed(): void {
    this.#committedAt = performance.now();
  }

  get figures(): Figures {
    const endedAt = this.#committedAt ?? performance.now();
    return { ...this.#figures, totalMs: endedAt - this.#orderedAt };
  }
}
