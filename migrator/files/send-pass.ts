import type { Duplex } from 'node:stream';
import { type ErrorBody, fromErrorBody, toErrorBody } from '../errors.ts';
import { cameToItsEnd, endedEarly, endOfRun, type RsyncEnd, rsyncError } from './errors.ts';
import { filesFrom, type Listing, NO_LISTING, sendListing } from './listing.ts';
import { giveTo, relayOut } from './relay.ts';
import { type RsyncProcess, startClient } from './rsync-process.ts';
import { Run } from './rsync-run.ts';
import { Kind, outOfTurn, parseJson, Wire } from './wire.ts';

/** What one pass over a tree sends. */
export interface Pass {
  /** All of it, matched by size and time of writing. */
  readonly whole: boolean;
  /** What is matched by content, after that. */
  readonly listing: Listing;
}

export interface SendOptions {
  readonly signal: AbortSignal;
  /** Somebody may be writing to the files meanwhile: what vanishes or shrinks under rsync's hands is no error then. */
  readonly running: boolean;
}

export interface CrossedBytes {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Send a whole tree. What is at the destination already, by size and time of writing, is not sent again. */
export async function sendTree(dir: string, stream: Duplex, options: SendOptions): Promise<CrossedBytes> {
  return sendPass(dir, stream, { whole: true, listing: NO_LISTING }, options);
}

/**
 * Source: send a pass over a stream whose other end is in `receiveTree`.
 *
 * @throws HoldfastError `FILES_DISK_FULL`, `FILES_INCOMPLETE`, `LINK_BROKEN`, `FILES_MISMATCH`, `FILES_FAILED`,
 * `PROGRAM_MISSING`, `DEADLINE`; the stream is then destroyed
 */
export async function sendPass(
  dir: string,
  stream: Duplex,
  { whole, listing }: Pass,
  options: SendOptions,
): Promise<CrossedBytes> {
  const { signal } = options;
  const wire = new Wire(stream);
  const giveUp = () => wire.destroy();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    if (signal.aborted) throw endedEarly(signal);
    if (whole) await sendRun(dir, wire, Run.whole, [], options);
    if (listing.paths.size > 0) {
      await sendListing(wire, listing);
      const dense = [...listing.paths].filter((path) => !listing.sparse.has(path));
      if (listing.sparse.size > 0) await sendRun(dir, wire, Run.sparse, listing.sparse, options);
      await sendRun(dir, wire, Run.listed, dense, options);
    }
    await wire.send(Kind.over);
    await wire.finish();
    return { sentBytes: wire.sentBytes, receivedBytes: wire.receivedBytes };
  } catch (error) {
    wire.destroy();
    throw signal.aborted ? endedEarly(signal) : error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

async function sendRun(
  dir: string,
  wire: Wire,
  run: Run,
  paths: Iterable<string>,
  options: SendOptions,
): Promise<void> {
  await wire.sendJson(Kind.begin, { run });
  const client = startClient(dir, run);
  try {
    const outgoing = relayOut(client.said, wire);
    const verdict = hearVerdict(wire, client);
    // Whatever goes wrong first, the client ends by it, and with it all that is waited for here.
    outgoing.catch(() => client.stop());
    verdict.then(
      (end) => cameToItsEnd(end) || client.stop(),
      () => client.stop(),
    );
    client.list?.end(filesFrom(paths));
    const end = await client.ended;
    await outgoing;
    await wire.send(Kind.end);
    const error = rsyncError(endOfRun(end, await verdict), options);
    if (error !== undefined) throw error;
  } finally {
    client.stop();
    await client.ended.catch(() => {});
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
