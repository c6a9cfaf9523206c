import type { IncomingMessage, ServerResponse } from 'node:http';
import { HoldfastError } from '../errors.ts';
import { answerMemory } from '../memory/frozen-memory.ts';
import { Effort, threadsFor } from '../memory/pace.ts';
import { PageReaders } from '../memory/page-readers.ts';
import type { Traffic } from '../transfer/traffic.ts';
import { engineOf, type HostContext } from './host.ts';
import type { Peer } from './peer.ts';
import type { MigrationRecord } from './records.ts';

/** Those who read the memory of what is frozen here. They are told when it will be no more. */
export class FrozenReadings {
  readonly #host: HostContext;
  readonly #frozen = new Map<string, AbortController>();

  constructor(host: HostContext) {
    this.#host = host;
  }

  /**
   * Answer for the memory of what is frozen, for as long as it is asked for. The response is this method's.
   *
   * @param by.peer the migration's, which stands ready; an agent that was restarted meanwhile has none
   * @param by.traffic what the answers are
   */
  async answer(
    { id, container, limitRateBps }: MigrationRecord,
    { peer, traffic }: { peer: Peer | undefined; traffic: Traffic },
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const processes = () => engineOf(this.#host, container).processes(container);
    const signal = this.#whileFrozen(id);
    const readers = peer?.readers ?? new PageReaders({ most: threadsFor(this.#host.memory?.workers) });
    const flow = peer?.flow ?? this.#host.link.flow(request.socket.remoteAddress ?? '', limitRateBps);
    readers.effort = Effort.behind;
    try {
      const { seen } = peer ?? {};
      await answerMemory(request, response, { processes, readers, flow, traffic, seen, signal });
    } finally {
      if (!peer) {
        flow.close();
        await readers.close();
      }
    }
  }

  /** What was frozen will not be so any more. */
  stop(id: string): void {
    const reason = new HoldfastError(
      'MIGRATION_OVER',
      `what migration ${id} had frozen is not frozen any more`,
    );
    this.#frozen.get(id)?.abort(reason);
    this.#frozen.delete(id);
  }

  close(): void {
    for (const id of [...this.#frozen.keys()]) this.stop(id);
  }

  #whileFrozen(id: string): AbortSignal {
    const frozen = this.#frozen.get(id) ?? new AbortController();
    this.#frozen.set(id, frozen);
    return frozen.signal;
  }
}
