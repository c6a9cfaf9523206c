import type { Duplex } from 'node:stream';
import type { CarriedAs, Carrier } from '../engine/engine.ts';
import { HoldfastError } from '../errors.ts';
import type { TlsMaterial } from '../pki/tls-files.ts';
import { Link } from '../transfer/link.ts';
import type { LinkFlow } from '../transfer/link-flow.ts';
import { callStream } from '../transfer/stream-call.ts';
import { Traffic } from '../transfer/traffic.ts';

const WHAT = /^[a-z0-9-]{1,64}$/;

/** Streams to the destination's agent, each on a link of its own. A link that was used stands ready for the next one. */
export class LinkCarrier implements Carrier {
  readonly #to: { readonly url: string; readonly tls: TlsMaterial };
  readonly #path: string;
  readonly #flow: LinkFlow;
  readonly #links = new Set<Link>();
  readonly #idle: Link[] = [];
  #isFrozen = false;

  constructor(options: { url: string; migrationId: string; tls: TlsMaterial; flow: LinkFlow }) {
    this.#to = options;
    this.#flow = options.flow;
    this.#path = `/v1/migrations/${options.migrationId}/belongings`;
  }

  /** On the wire, on all links: handshakes and TLS records included. */
  get bytesSent(): number {
    return [...this.#links].reduce((sum, link) => sum + link.bytesSent, 0);
  }

  /** From now on users wait for whatever goes over, also on streams that are open. */
  frozen(): void {
    this.#isFrozen = true;
  }

  async open(what: string, signal: AbortSignal, as: CarriedAs = Traffic.files): Promise<Duplex> {
    if (!WHAT.test(what)) throw new Error(`no name of a stream: ${what}`);
    const stoodReady = this.#idle.pop();
    if (stoodReady) {
      try {
        return await this.#open(stoodReady, what, { as, signal });
      } catch (error) {
        // It broke while nobody used it.
        const wentStale = error instanceof HoldfastError && error.code === 'LINK_BROKEN';
        if (!wentStale || signal.aborted) throw error;
      }
    }
    const link = new Link(this.#to);
    this.#links.add(link);
    return this.#open(link, what, { as, signal });
  }

  close(): void {
    for (const link of this.#links) link.close();
    this.#idle.length = 0;
  }

  #open(link: Link, what: string, { as, signal }: { as: CarriedAs; signal: AbortSignal }): Promise<Duplex> {
    const onIdle = () => void this.#idle.push(link);
    const traffic = () => (this.#isFrozen ? Traffic.difference : as);
    return callStream(link, `${this.#path}/${what}`, { flow: this.#flow, traffic, onIdle, signal });
  }
}
