import type { Duplex } from 'node:stream';
import type { Listing } from './listing.ts';
import { Run } from './rsync-run.ts';
import { type CrossedBytes, type SendOptions, sendListed, toItsEnd } from './send-pass.ts';
import { SendingRun } from './sending-run.ts';
import { Wire } from './wire.ts';

/**
 * Source: a pass that stands ready. Its stream is open, and both rsyncs have started, have greeted one another and wait for
 * the list: none of that is left for the freeze.
 */
export class ReadyPass {
  readonly #wire: Wire;
  readonly #run: SendingRun;
  readonly #giveUp = () => this.#wire.destroy();
  readonly #signal: AbortSignal;
  #stands = true;

  private constructor(wire: Wire, run: SendingRun, signal: AbortSignal) {
    this.#wire = wire;
    this.#run = run;
    this.#signal = signal;
    signal.addEventListener('abort', this.#giveUp, { once: true });
    // One that has ended while it waited is of no use, at either end.
    void run.ended.then(() => this.#stands && wire.destroy());
  }

  /**
   * @param stream its other end is in `receiveTree`
   * @param signal it stands no longer than until this fires
   * @throws HoldfastError `LINK_BROKEN`, `PROGRAM_MISSING`
   */
  static async begin(dir: string, stream: Duplex, signal: AbortSignal): Promise<ReadyPass> {
    signal.throwIfAborted();
    const wire = new Wire(stream);
    try {
      return new ReadyPass(wire, await SendingRun.begin(dir, wire, Run.listed), signal);
    } catch (error) {
      wire.destroy();
      throw error;
    }
  }

  /** Whether it can be used, so far as is known. */
  get stands(): boolean {
    return this.#stands && this.#wire.isOpen;
  }

  /**
   * Send what is on the list, where no file with holes may be.
   *
   * @throws HoldfastError what `sendPass` throws
   */
  async send(listing: Listing, { signal, running }: SendOptions): Promise<CrossedBytes> {
    const { paths } = listing;
    return this.#end(signal, () => sendListed(this.#wire, this.#run, { names: listing, paths }, { running }));
  }

  /** It is not needed. Settles when the destination is through with it. @throws HoldfastError what `sendPass` throws */
  async dismiss(signal: AbortSignal): Promise<CrossedBytes> {
    return this.#end(signal, () => this.#run.dismiss());
  }

  async #end(signal: AbortSignal, how: () => Promise<void>): Promise<CrossedBytes> {
    this.#stands = false;
    this.#signal.removeEventListener('abort', this.#giveUp);
    try {
      return await toItsEnd(this.#wire, signal, how);
    } finally {
      await this.#run.stop();
    }
  }

  /** Settles when nothing of it is left at this end. */
  async drop(): Promise<void> {
    this.#stands = false;
    this.#signal.removeEventListener('abort', this.#giveUp);
    this.#wire.destroy();
    await this.#run.stop();
  }
}
