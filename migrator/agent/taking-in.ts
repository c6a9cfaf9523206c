import type { IncomingMessage, ServerResponse } from 'node:http';
import { HoldfastError } from '../errors.ts';
import { answerStream } from '../transfer/stream-answer.ts';
import { Deadlines } from './deadlines.ts';
import { engineOf, type HostContext, wrongPhase } from './host.ts';
import { type Leases, leasedRecord } from './lease.ts';
import { Phase } from './records.ts';

/** Of one migration, at a time: one for each tree of files. */
const MOST_STREAMS = 64;

interface UnderWay {
  readonly taken: Promise<void>;
  readonly stop: AbortController;
}

/**
 * What containers own besides their memory, as it arrives at a destination. It comes beside what is done to the container
 * in its turn, so whoever undoes a migration stops this first.
 */
export class TakingIn {
  readonly #host: HostContext;
  readonly #leases: Leases;
  readonly #underWay = new Map<string, Set<UnderWay>>();

  constructor(host: HostContext, leases: Leases) {
    this.#host = host;
    this.#leases = leases;
  }

  /** @throws HoldfastError when nothing of this migration is awaited */
  refuseUnlessAwaited(id: string): void {
    const { container } = this.#record(id);
    if (!engineOf(this.#host, container).belongings) throw wrongPhase(id, 'without belongings', 'belongings');
    if ((this.#underWay.get(id)?.size ?? 0) >= MOST_STREAMS)
      throw wrongPhase(id, 'taking in enough', 'belongings');
  }

  /** Take in what comes on one stream. The response is this method's, from its first byte to its end. */
  async take(id: string, what: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { container } = this.#record(id);
    const belongings = engineOf(this.#host, container).belongings;
    if (!belongings) throw wrongPhase(id, 'without belongings', 'belongings');
    const workspace = this.#host.workspaces.of(id);
    const stop = new AbortController();
    const deadline = setTimeout(() => {
      stop.abort(new HoldfastError('DEADLINE', `${what} was not taken in in time`, { retryable: true }));
    }, Deadlines.bringMs);
    const all = this.#underWay.get(id) ?? new Set();
    this.#underWay.set(id, all);
    let settle = () => {};
    const taken = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const underWay = { taken, stop };
    all.add(underWay);
    const over = () => {
      clearTimeout(deadline);
      all.delete(underWay);
      settle();
    };
    try {
      await answerStream(request, response, {
        // Over before the other end hears of it, which may have a restore begin at once.
        take: (stream, signal) =>
          belongings.receive(container, workspace, what, stream, signal).finally(over),
        signal: stop.signal,
      });
    } finally {
      over();
    }
  }

  /** @throws HoldfastError `MIGRATION_PHASE` while something is still on its way */
  refuseUnlessOver(id: string, call: string): void {
    if (this.#isUnderWay(id)) throw wrongPhase(id, 'still being brought', call);
  }

  /** End what is under way. Settles when nothing is. */
  async stop(id: string): Promise<void> {
    const all = [...(this.#underWay.get(id) ?? [])];
    for (const { stop } of all) {
      stop.abort(new HoldfastError('INTERRUPTED', 'the migration was called off while things were taken in'));
    }
    await Promise.all(all.map(({ taken }) => taken));
    this.#underWay.delete(id);
  }

  #isUnderWay(id: string): boolean {
    return (this.#underWay.get(id)?.size ?? 0) > 0;
  }

  #record(id: string) {
    const phases = [Phase.prepared, Phase.received];
    return leasedRecord(this.#host, this.#leases, id, { call: 'belongings', phases });
  }
}
