import type { Duplex } from 'node:stream';
import { endedEarly } from './errors.ts';
import { type Listing, NO_LISTING, sendListing } from './listing.ts';
import { Run } from './rsync-run.ts';
import { SendingRun } from './sending-run.ts';
import { Kind, Wire } from './wire.ts';

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
  const wire = new Wire(stream);
  const sendRun = async (run: Run, paths: Iterable<string>, names: Listing) => {
    const under = await SendingRun.begin(dir, wire, run);
    await sendListed(wire, under, { names, paths }, options);
  };
  return toItsEnd(wire, options.signal, async () => {
    if (whole) await sendRun(Run.whole, [], NO_LISTING);
    const { paths, sparse } = listing;
    if (paths.size === 0) return;
    const dense = [...paths].filter((path) => !sparse.has(path));
    if (sparse.size > 0) await sendRun(Run.sparse, sparse, listing);
    await sendRun(Run.listed, dense, sparse.size > 0 ? NO_LISTING : listing);
  });
}

/** Have the destination make way for what is named, then have the run send these paths. */
export async function sendListed(
  wire: Wire,
  run: SendingRun,
  { names, paths }: { readonly names: Listing; readonly paths: Iterable<string> },
  options: Pick<SendOptions, 'running'>,
): Promise<void> {
  try {
    if (names.paths.size > 0) await sendListing(wire, names);
    await run.send(paths, options);
  } finally {
    await run.stop();
  }
}

/** See a pass to its end: until the destination has taken all of it in, or the stream is destroyed. */
export async function toItsEnd(
  wire: Wire,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<CrossedBytes> {
  const giveUp = () => wire.destroy();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    if (signal.aborted) throw endedEarly(signal);
    await work();
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
