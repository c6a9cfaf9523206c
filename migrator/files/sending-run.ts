import type { ErrorBody } from '../errors.ts';
import { fromErrorBody, toErrorBody } from '../errors.ts';
import { cameToItsEnd, endOfRun, type RsyncEnd, rsyncError } from './errors.ts';
import { filesFrom } from './listing.ts';
import { giveTo, relayOut } from './relay.ts';
import { type RsyncProcess, startClient } from './rsync-process.ts';
import type { Run } from './rsync-run.ts';
import { Kind, outOfTurn, parseJson, type Wire } from './wire.ts';

/**
 * Source: a run of rsync at both ends. They greet one another at once; one that goes by a list then waits for it, for as
 * long as it takes.
 */
export class SendingRun {
  readonly #wire: Wire;
  readonly #client: RsyncProcess;
  readonly #outgoing: Promise<void>;
  readonly #verdict: Promise<RsyncEnd>;

  private constructor(wire: Wire, client: RsyncProcess) {
    this.#wire = wire;
    this.#client = client;
    this.#outgoing = relayOut(client.said, wire);
    this.#verdict = hearVerdict(wire, client);
    // Whatever goes wrong first, the client ends by it, and with it all that is waited for here.
    this.#outgoing.catch(() => client.stop());
    this.#verdict.then(
      (end) => cameToItsEnd(end) || client.stop(),
      () => client.stop(),
    );
  }

  static async begin(dir: string, wire: Wire, run: Run): Promise<SendingRun> {
    await wire.sendJson(Kind.begin, { run });
    return new SendingRun(wire, startClient(dir, run));
  }

  /** Settles when the client has ended, however. */
  get ended(): Promise<unknown> {
    return this.#client.ended.catch(() => {});
  }

  /**
   * Let it send these, all of the tree if it goes by no list, and see it to its end.
   *
   * @param running see `SendOptions`
   * @throws HoldfastError see `sendPass`
   */
  async send(paths: Iterable<string>, { running }: { readonly running: boolean }): Promise<void> {
    try {
      this.#client.list?.end(filesFrom(paths));
      const end = await this.#client.ended;
      await this.#outgoing;
      await this.#wire.sendJson(Kind.end, { hasSucceeded: end.code === 0 });
      const error = rsyncError(endOfRun(end, await this.#verdict), { running });
      if (error !== undefined) throw error;
    } finally {
      await this.stop();
    }
  }

  /** It is not needed: settles when it has ended at this end, without having sent anything. */
  async dismiss(): Promise<void> {
    this.#client.kill();
    await this.ended;
    await this.#outgoing.catch(() => {});
  }

  /** Settles when nothing of it is left at this end. */
  async stop(): Promise<void> {
    this.#client.stop();
    await this.ended;
  }
}

/** Gives the client what comes for it, until the destination says how its own rsync has ended. */
async function hearVerdict(wire: Wire, client: RsyncProcess): Promise<RsyncEnd> {
  for (;;) {
    const { kind, payload } = await wire.next();
    if (kind === Kind.data) {
      await giveTo(client.heard, payload);
      continue;
    }
    if (kind !== Kind.ended) throw outOfTurn(kind);
    client.heard.end();
    const { end, error } = parseJson(payload) as { end?: RsyncEnd; error?: ErrorBody };
    if (end === undefined) throw fromErrorBody(error ?? toErrorBody(outOfTurn(kind)));
    return end;
  }
}
