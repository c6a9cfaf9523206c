import { HoldfastError } from '../errors.ts';
import { hastily } from '../haste.ts';
import type { Bringing } from './bringing.ts';
import type { Checkpoint, Peer } from './peer.ts';
import type { SendReply } from './protocol.ts';

interface Sending {
  readonly sent: Promise<SendReply>;
  readonly stop: AbortController;
}

/** Checkpoints on their way, from the dump's first byte on, each with whatever else has changed since it was brought. */
export class Sendings {
  readonly #bringing: Bringing;
  readonly #underWay = new Map<string, Sending>();

  constructor(bringing: Bringing) {
    this.#bringing = bringing;
  }

  begin(of: { id: string; container: string }, peer: Peer, checkpoint: Checkpoint): void {
    const stop = new AbortController();
    const sent = hastily(() => this.#send(of, peer, checkpoint, stop));
    sent.catch(() => {}); // Told by `sent`, which may be asked for later or never.
    this.#underWay.set(of.id, { sent, stop });
  }

  /** Settles when all of it is there; undefined when nothing was begun. It is given up when `signal` fires. */
  async sent(id: string, signal: AbortSignal): Promise<SendReply | undefined> {
    const sending = this.#underWay.get(id);
    if (!sending) return undefined;
    const stop = () => sending.stop.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await sending.sent;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Whoever waits for it is told; the images are not read any more when this settles. */
  async stop(id: string): Promise<void> {
    const sending = this.#underWay.get(id);
    if (!sending) return;
    sending.stop.abort(new HoldfastError('INTERRUPTED', 'the migration was called off while it was sent'));
    await sending.sent.catch(() => {});
    this.#underWay.delete(id);
  }

  /** When one of the two fails, the other ends as well. */
  async #send(
    { id, container }: { id: string; container: string },
    peer: Peer,
    checkpoint: Checkpoint,
    stop: AbortController,
  ): Promise<SendReply> {
    const began = performance.now();
    const sent = peer.send(checkpoint, stop.signal);
    const rest = this.#bringing
      .rest(id, container)
      .then((carried) => ({ ...carried, lastPassMs: performance.now() - began }));
    stop.signal.addEventListener('abort', () => void this.#bringing.stop(id), { once: true });
    for (const work of [sent, rest]) work.catch((error) => stop.abort(error));
    await Promise.allSettled([sent, rest]);
    if (stop.signal.aborted) throw stop.signal.reason;
    const { bytesSent, imageBytes } = await sent;
    return { imageBytes, bytesSent: bytesSent + this.#bringing.bytesSent(id), ...(await rest) };
  }
}
