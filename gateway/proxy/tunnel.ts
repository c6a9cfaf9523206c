import type { Socket } from 'node:net';

/** Probes that tell of a peer that is gone without a word; the only time-out an upgraded connection has. */
const KEEP_ALIVE_MS = 60_000;
/** What app and client have to part in once they were asked to. */
const GOODBYE_MS = 500;

/**
 * Carries bytes both ways until both ends are closed. Either end may close its half first and go on reading; an error at
 * one end destroys the other. `onClosed` is called once.
 */
export class Tunnel {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #onClosed: () => void;
  #open = 2;
  #goodbye: NodeJS.Timeout | undefined = undefined;

  constructor(client: Socket, upstream: Socket, onClosed: () => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#onClosed = onClosed;
    this.#join(client, upstream);
    this.#join(upstream, client);
    if (client.destroyed || upstream.destroyed) this.#destroy();
    upstream.pipe(client);
    client.pipe(upstream);
  }

  /**
   * Close it as gently as it can be done from the middle: what has come of the client's words is passed on, the app is told
   * that there are no more, and what it then still says reaches the client before its end. Who takes too long is cut off.
   */
  sayGoodbye(): void {
    if (this.#goodbye !== undefined || this.#open === 0) return;
    this.#client.unpipe(this.#upstream);
    // Read, and dropped: closed with bytes unread, the connection would be reset, and the app's last words lost with it.
    this.#client.resume();
    this.#upstream.end();
    this.#goodbye = setTimeout(() => this.#destroy(), GOODBYE_MS);
  }

  #join(from: Socket, to: Socket): void {
    // Otherwise node answers the end of one direction by closing the other.
    from.allowHalfOpen = true;
    from.setNoDelay(true);
    from.setKeepAlive(true, KEEP_ALIVE_MS);
    from.setTimeout(0);
    from.on('error', () => to.resetAndDestroy());
    from.once('close', () => {
      // What came before a proper end is still being flushed.
      if (from.readableEnded) to.destroySoon();
      else to.destroy();
      this.#open -= 1;
      if (this.#open > 0) return;
      clearTimeout(this.#goodbye);
      this.#onClosed();
    });
  }

  #destroy(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }
}
