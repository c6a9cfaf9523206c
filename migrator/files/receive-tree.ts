import type { Duplex } from 'node:stream';
import { toErrorBody } from '../errors.ts';
import { run as runProgram } from '../process.ts';
import { cameToItsEnd, endedEarly, notUnderstood, type RsyncEnd, rsyncError } from './errors.ts';
import { loosenAll } from './hard-links.ts';
import { ListingReader } from './listing.ts';
import { giveTo, relayOut } from './relay.ts';
import { type RsyncProcess, startServer } from './rsync-process.ts';
import { hasList, isRun, Run } from './rsync-run.ts';
import type { CrossedBytes } from './send-pass.ts';
import { Kind, outOfTurn, parseJson, Wire } from './wire.ts';

export interface ReceiveOptions {
  readonly signal: AbortSignal;
  /** Have everything on the disk before it counts as arrived. */
  readonly sync?: boolean;
}

export interface Received extends CrossedBytes {
  /** Whether anything may be other than it was: a pass may have stood ready and not been needed. */
  readonly hasChanged: boolean;
}

/**
 * Destination: take in whatever the source sends for `dir`, until it has sent all. When this fails, `dir` is somewhere
 * between what it was and what it was to become: the next whole pass puts it right, whatever is there.
 *
 * @throws HoldfastError the same codes as `sendPass`; the stream is then destroyed
 */
export async function receiveTree(dir: string, stream: Duplex, options: ReceiveOptions): Promise<Received> {
  const { signal } = options;
  const wire = new Wire(stream);
  const giveUp = () => wire.destroy();
  signal.addEventListener('abort', giveUp, { once: true });
  let hasChanged = false;
  try {
    if (signal.aborted) throw endedEarly(signal);
    for (;;) {
      const { kind, payload } = await wire.next();
      if (kind === Kind.over) break;
      if (kind !== Kind.begin) throw outOfTurn(kind);
      const end = await receiveRun(dir, wire, runIn(payload), options);
      if (end === RunEnd.dismissed) break;
      hasChanged = true;
    }
    wire.end();
    return { sentBytes: wire.sentBytes, receivedBytes: wire.receivedBytes, hasChanged };
  } catch (error) {
    wire.destroy();
    throw signal.aborted ? endedEarly(signal) : error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function runIn(payload: Buffer): Run {
  const { run } = parseJson(payload) as { run?: unknown };
  if (!isRun(run)) throw notUnderstood('a run of no known name');
  return run;
}

const RunEnd = {
  carriedOut: 'carried-out',
  /** The source had nothing for it, nor for any other. */
  dismissed: 'dismissed',
} as const;
type RunEnd = (typeof RunEnd)[keyof typeof RunEnd];

/** One that goes by a list has its rsync start at once, and wait for it: that may be long after. */
async function receiveRun(dir: string, wire: Wire, run: Run, options: ReceiveOptions): Promise<RunEnd> {
  if (run === Run.whole) await loosenAll(dir, options.signal);
  const listing = new ListingReader();
  let isDismissible = hasList(run);
  const server = startServer(dir, run);
  try {
    const verdict = tellVerdict(dir, wire, server, options);
    verdict.catch(() => {});
    for (;;) {
      const { kind, payload } = await wire.next();
      if (kind === Kind.end) {
        const { hasSucceeded } = parseJson(payload) as { hasSucceeded?: unknown };
        // It has said goodbye, and would sleep for 20 ms before it looks whether its other half has ended.
        if (hasSucceeded === true && hasList(run)) server.discharge();
        break;
      }
      if (kind === Kind.names) listing.add(payload);
      else if (kind === Kind.data) await giveTo(server.heard, payload);
      else if (kind === Kind.listed) {
        isDismissible = false;
        listing.makeWay(dir);
      } else if (kind === Kind.over && isDismissible) {
        server.kill();
        return RunEnd.dismissed;
      } else throw outOfTurn(kind);
    }
    server.heard.end();
    await verdict;
    return RunEnd.carriedOut;
  } finally {
    server.stop();
    await server.ended.catch(() => {});
  }
}

/** Says how the server has ended as soon as it has: the source may still be sending to one that has failed. */
async function tellVerdict(
  dir: string,
  wire: Wire,
  server: RsyncProcess,
  { signal, sync = false }: ReceiveOptions,
): Promise<void> {
  const outgoing = relayOut(server.said, wire);
  outgoing.catch(() => server.stop());
  let end: RsyncEnd;
  try {
    end = await server.ended;
    await outgoing;
    if (sync && cameToItsEnd(end)) await runProgram('sync', ['-f', '.'], { cwd: dir, signal });
  } catch (error) {
    await wire.sendJson(Kind.ended, { error: toErrorBody(error) });
    throw error;
  }
  await wire.sendJson(Kind.ended, { end });
  // Single files that could not be copied are for the source to judge: it is told of them.
  const error = cameToItsEnd(end) ? undefined : rsyncError(end, { running: false });
  if (error !== undefined) throw error;
}
