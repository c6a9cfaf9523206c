import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { anySignal } from '../any-signal.ts';
import { HoldfastError } from '../errors.ts';
import type { Link } from './link.ts';
import type { LinkFlow } from './link-flow.ts';
import { Traffic } from './traffic.ts';

export const PROBE_PATH = '/v1/probe';

const ROUND_TRIPS = 5;
const CHUNK = 64 * 1024;
/** Sent at most, and taken in at most: enough to fill a gigabit for 30 ms. */
const MOST_BYTES = 4 * 1024 * 1024;
/** TCP begins with some 14 KB and doubles each round trip: eight fill 100 Mbit/s over 100 ms. */
const ROUND_TRIPS_TO_FULL_SPEED = 8;
const FULL_SPEED_MS = 120;
const LONGEST_MS = 1_500;
/** Each for longer: on a host that is busy nothing may have been looked at in the time. */
const MOST_TRIES = 3;
/** How long the other end listens, should this one fall silent. */
const LISTEN_MS = 5_000;
/** Spans shorter than these say more of the timer and of the TLS records than of the link. */
const SPAN_MS = 2;
const SPAN_BYTES = 64 * 1024;

/** What had arrived at the other end, by its own clock. */
export interface Arrival {
  readonly atMs: number;
  readonly bytes: number;
}

export interface MeasuredLink {
  /** The shortest of several round trips, TLS and HTTP included. */
  readonly rttMs: number;
  /** Bytes a millisecond, of what TLS carries. */
  readonly rateBpms: number;
}

/**
 * Measure a link that is open: a few round trips, then bytes that no one on the way can compress, at most 4 MiB and for
 * no longer than TCP takes to come to full speed. They go as what an app that is frozen has left will go.
 *
 * @throws HoldfastError `LINK_BROKEN`, `PROBE_FAILED`
 */
export async function probeLink(link: Link, flow: LinkFlow, signal: AbortSignal): Promise<MeasuredLink> {
  let rttMs = Number.POSITIVE_INFINITY;
  for (let times = 0; times < ROUND_TRIPS; times++) {
    const sentAt = performance.now();
    await link.getJson(PROBE_PATH, signal);
    rttMs = Math.min(rttMs, performance.now() - sentAt);
  }
  for (let tries = 1; ; tries++) {
    const rateBpms = rateOf(await sendFor(link, flow, tries * budgetMs(rttMs), signal));
    if (rateBpms !== undefined) return { rttMs, rateBpms: Math.min(rateBpms, flow.limitBpms) };
    if (tries === MOST_TRIES) {
      throw new HoldfastError(
        'PROBE_FAILED',
        `too little arrived at ${link.peer} to tell what the link carries`,
        {
          mend: 'check the link between the two hosts, then try again',
          retryable: true,
        },
      );
    }
    await link.open(signal);
  }
}

export function budgetMs(rttMs: number): number {
  return Math.min(LONGEST_MS, FULL_SPEED_MS + ROUND_TRIPS_TO_FULL_SPEED * rttMs);
}

/**
 * What a link carries, from what arrived when: the median of the rates of its spans, each weighed by its bytes. So
 * neither the pauses of TCP's slow start count for much, in which little arrives, nor the short bursts that a
 * traffic shaper lets through faster than it does in the long run.
 *
 * @returns bytes a millisecond; undefined when too little arrived
 */
export function rateOf(arrivals: readonly Arrival[]): number | undefined {
  const spans: { bytes: number; rate: number }[] = [];
  let from = arrivals[0];
  for (const arrival of arrivals) {
    if (from === undefined) break;
    const bytes = arrival.bytes - from.bytes;
    const ms = arrival.atMs - from.atMs;
    if (bytes < SPAN_BYTES || ms < SPAN_MS) continue;
    spans.push({ bytes, rate: bytes / ms });
    from = arrival;
  }
  if (spans.length === 0) return wholeRate(arrivals);
  spans.sort((a, b) => a.rate - b.rate);
  const half = spans.reduce((sum, { bytes }) => sum + bytes, 0) / 2;
  let bytes = 0;
  return spans.find((span) => {
    bytes += span.bytes;
    return bytes >= half;
  })?.rate;
}

/** Of a link so slow, or so fast, that it never filled a span. */
function wholeRate(arrivals: readonly Arrival[]): number | undefined {
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  if (first === undefined || last === undefined || last.bytes === first.bytes) return undefined;
  return (last.bytes - first.bytes) / Math.max(last.atMs - first.atMs, 0.1);
}

/** Send until the time is up or enough was sent, and give up the connection with whatever is still in its buffers. */
async function sendFor(link: Link, flow: LinkFlow, forMs: number, signal: AbortSignal): Promise<Arrival[]> {
  const arrivals: Arrival[] = [];
  const time = AbortSignal.timeout(Math.ceil(forMs));
  const stop = anySignal([signal, time]);
  const request = link.request('PUT', PROBE_PATH, {
    'content-type': 'application/octet-stream',
    'content-length': String(MOST_BYTES),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      stop.addEventListener('abort', () => resolve(), { once: true });
      request.on('error', reject);
      request.once('response', (response) => {
        response.on('error', reject);
        if (response.statusCode !== 200) return reject(new Error(`answered ${response.statusCode}`));
        let rest = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) arrivals.push(JSON.parse(line) as Arrival);
        });
        response.once('end', resolve);
      });
      const chunk = randomBytes(CHUNK);
      const write = ([slice]: readonly Uint8Array[]) =>
        new Promise<void>((taken) => {
          stop.addEventListener('abort', () => taken(), { once: true });
          if (request.write(slice)) taken();
          else request.once('drain', taken);
        });
      const send = async () => {
        for (let sentBytes = 0; sentBytes < MOST_BYTES; sentBytes += chunk.length) {
          await flow.send(Traffic.difference, [chunk], write, stop);
        }
        request.end();
      };
      send().catch((error: unknown) => (stop.aborted ? resolve() : reject(error)));
    });
  } catch (cause) {
    throw new HoldfastError('PROBE_FAILED', `the link to ${link.peer} broke while it was measured`, {
      mend: 'check the link between the two hosts, then try again',
      retryable: true,
      cause,
    });
  } finally {
    request.destroy();
    link.close();
  }
  signal.throwIfAborted();
  return arrivals;
}

/** The other end: say when how much has arrived, a line each time. The response is this function's to end. */
export async function receiveProbe(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const stop = setTimeout(() => request.destroy(), LISTEN_MS);
  response.on('error', () => {}); // Whoever measures breaks off when it knows enough.
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const beganAt = performance.now();
  let bytes = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = () => response.write(`${JSON.stringify({ atMs: toldAt - beganAt, bytes })}\n`);
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) break;
      const now = performance.now();
      if (now - toldAt < SPAN_MS / 2) continue;
      toldAt = now;
      tell();
    }
    toldAt = performance.now();
    tell();
    response.end();
  } catch {
    response.destroy();
  } finally {
    clearTimeout(stop);
  }
}
