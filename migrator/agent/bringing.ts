import type { CarriedBytes } from '../engine/engine.ts';
import { HoldfastError } from '../errors.ts';
import type { LinkFlow } from '../transfer/link-flow.ts';
import { LinkCarrier } from './carrier.ts';
import { Deadlines } from './deadlines.ts';
import { engineOf, type HostContext, wrongPhase } from './host.ts';
import type { BringReply } from './protocol.ts';
import { settle } from './settle.ts';
import { busy } from './turns.ts';

interface UnderWay {
  readonly brought: Promise<CarriedBytes>;
  readonly stop: AbortController;
}

const NOTHING: CarriedBytes = { layerBytes: 0, fileBytes: 0 };

/**
 * What containers own besides their memory, on its way to the destination. It goes beside what is done to the container
 * in its turn: beside memory sent ahead, and beside the dump.
 */
export class Bringing {
  readonly #host: HostContext;
  /** One for each migration whose engine has anything to bring. They do not outlive this process. */
  readonly #carriers = new Map<string, LinkCarrier>();
  readonly #underWay = new Map<string, UnderWay>();

  constructor(host: HostContext) {
    this.#host = host;
  }

  connect(id: string, container: string, url: string, flow: LinkFlow): void {
    if (!engineOf(this.#host, container).belongings) return;
    this.#carriers.set(id, new LinkCarrier({ url, migrationId: id, tls: this.#host.tls, flow }));
  }

  /** On the wire so far. */
  bytesSent(id: string): number {
    return this.#carriers.get(id)?.bytesSent ?? 0;
  }

  /** While the app runs. @throws HoldfastError `CONTAINER_BUSY`, `MIGRATION_PHASE`, `DEADLINE`, `INTERRUPTED` */
  ahead(id: string, container: string): Promise<BringReply> {
    return this.#bring(id, container, Deadlines.bringMs, 'sendAhead');
  }

  /** Shortly before the freeze. @throws HoldfastError as `ahead` */
  getReady(id: string, container: string): Promise<BringReply> {
    return this.#bring(id, container, Deadlines.standByMs, 'getReady');
  }

  /** What is left, of a frozen container. @throws HoldfastError as `ahead` */
  async rest(id: string, container: string): Promise<CarriedBytes> {
    const belongings = engineOf(this.#host, container).belongings;
    const carrier = this.#carriers.get(id);
    if (!belongings || !carrier) return NOTHING;
    carrier.frozen();
    await this.stop(id); // Nobody waits for it any more.
    const workspace = this.#host.workspaces.of(id);
    return this.#track(id, Deadlines.sendMs, (signal) =>
      belongings.sendRest(container, workspace, carrier, signal),
    );
  }

  /** Whoever waits for what is under way is told. Settles when nothing is. */
  async stop(id: string): Promise<void> {
    const underWay = this.#underWay.get(id);
    if (!underWay) return;
    underWay.stop.abort(
      new HoldfastError('INTERRUPTED', 'the migration was called off while things were brought'),
    );
    await underWay.brought.catch(() => {});
  }

  /** The migration is over. */
  async end(id: string, container: string): Promise<void> {
    await this.stop(id);
    this.#carriers.get(id)?.close();
    this.#carriers.delete(id);
    try {
      const soon = AbortSignal.timeout(Deadlines.letGoMs);
      await engineOf(this.#host, container).belongings?.letGo(container, soon);
    } catch (err) {
      this.#host.log.warn({ migrationId: id, container, err }, 'the engine has not let go of it yet');
      settle(this.#host, container);
    }
  }

  close(): void {
    for (const { stop } of this.#underWay.values())
      stop.abort(new HoldfastError('INTERRUPTED', 'the agent ends'));
    for (const carrier of this.#carriers.values()) carrier.close();
  }

  async #bring(
    id: string,
    container: string,
    timeoutMs: number,
    how: 'sendAhead' | 'getReady',
  ): Promise<BringReply> {
    const belongings = engineOf(this.#host, container).belongings;
    const carrier = this.#carriers.get(id);
    if (!belongings || !carrier) throw wrongPhase(id, 'without anything to bring', 'bring');
    if (this.#underWay.has(id)) throw busy(container, `migration ${id}`);
    const workspace = this.#host.workspaces.of(id);
    const carried = await this.#track(id, timeoutMs, (signal) =>
      belongings[how](container, workspace, carrier, signal),
    );
    return { ...carried, bytesSent: carrier.bytesSent };
  }

  async #track(
    id: string,
    timeoutMs: number,
    work: (signal: AbortSignal) => Promise<CarriedBytes>,
  ): Promise<CarriedBytes> {
    const stop = new AbortController();
    const deadline = setTimeout(() => {
      stop.abort(new HoldfastError('DEADLINE', `not brought within ${timeoutMs} ms`, { retryable: true }));
    }, timeoutMs);
    const brought = work(stop.signal).catch((error: unknown) => {
      throw stop.signal.aborted ? stop.signal.reason : error;
    });
    brought.catch(() => {}); // Told to whoever waits for it, which may be nobody by now.
    this.#underWay.set(id, { brought, stop });
    try {
      return await brought;
    } finally {
      clearTimeout(deadline);
      this.#underWay.delete(id);
    }
  }
}
