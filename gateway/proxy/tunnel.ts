import type { Socket } from 'node:net';

/** Probes that tell of a peer that is gone without a word; the only time-out an upgraded connection has. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Carry bytes both ways until both ends are closed. Either end may close its half first and go on reading; an error at
 * one end destroys the other. `onClosed` is called once.
 */
export function tunnel(client: Socket, upstream: Socket, onClosed: () => void): void {
  let open = 2;
  const join = (from: Socket, to: Socket) => {
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
      open -= 1;
      if (open === 0) onClosed();
    });
  };
  join(client, upstream);
  join(upstream, client);
  if (client.destroyed || upstream.destroyed) {
    client.destroy();
    upstream.destroy();
  }
  upstream.pipe(client);
  client.pipe(upstream);
}
