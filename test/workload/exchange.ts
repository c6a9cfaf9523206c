import { createHash, randomBytes } from 'node:crypto';
import { type Agent, request } from 'node:http';

/** What the app answers to a visit: see app/server.mjs. */
export interface VisitAnswer {
  readonly id: string;
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
  readonly user: string;
  readonly count: number;
  readonly digest?: string;
}

export const ExchangeOutcome = { answered: 'answered', failed: 'failed' } as const;

interface ExchangeBase {
  readonly id: string;
  readonly user: string;
  readonly method: 'GET' | 'POST';
  /** sha256 of the body sent, for a POST. */
  readonly bodyDigest?: string;
  /** When the schedule had it, whatever became of it; the monotonic clock all processes of a machine share. */
  readonly intendedAtMs: number;
  readonly doneAtMs: number;
}

/** One request and what came of it. */
export type Exchange =
  | (ExchangeBase & { readonly outcome: 'answered'; readonly answer: VisitAnswer })
  | (ExchangeBase & { readonly outcome: 'failed'; readonly reason: string });

/** A monotonic clock with the same origin in every process of this machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export interface Visit {
  readonly id: string;
  readonly user: string;
  readonly intendedAtMs: number;
  /** Absent: a GET. */
  readonly body?: Buffer;
  readonly query?: string;
}

export interface VisitOptions {
  readonly url: string;
  /** The Host header, when it is not the address's. */
  readonly host?: string | undefined;
  readonly agent: Agent;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Make one visit. Never throws: what goes wrong is the exchange's outcome. */
export async function exchange(visit: Visit, options: VisitOptions): Promise<Exchange> {
  const { id, user, body, intendedAtMs } = visit;
  const base = {
    id,
    user,
    intendedAtMs,
    method: body === undefined ? ('GET' as const) : ('POST' as const),
    ...(body === undefined ? {} : { bodyDigest: createHash('sha256').update(body).digest('hex') }),
  };
  try {
    const answer = await send(visit, options);
    return { ...base, doneAtMs: nowMs(), outcome: 'answered', answer };
  } catch (error) {
    return { ...base, doneAtMs: nowMs(), outcome: 'failed', reason: reasonOf(error) };
  }
}

function send(visit: Visit, options: VisitOptions): Promise<VisitAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${options.url}/visit${visit.query ?? ''}`, {
      agent: options.agent,
      method: visit.body === undefined ? 'GET' : 'POST',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      headers: {
        ...(options.host === undefined ? {} : { host: options.host }),
        cookie: `session=${visit.user}`,
        'x-load-id': visit.id,
        ...(visit.body === undefined ? {} : { 'content-length': visit.body.length }),
      },
    });
    // A deadline for the whole exchange: the socket's own time-out would only see silence.
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no answer in ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    outgoing.once('close', () => {
      clearTimeout(timer);
      reject(new Error('closed without an answer'));
    });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}: ${text}`));
        try {
          resolve(JSON.parse(text) as VisitAnswer);
        } catch {
          reject(new Error(`not JSON: ${text.slice(0, 80)}`));
        }
      });
    });
    outgoing.end(visit.body);
  });
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code === undefined ? message : `${code}: ${message}`).slice(0, 200);
}

const BODY_SIZES_BYTES = [100, 300, 700, 1_500, 4_096, 10_000, 16_384];

/** A body as forms and uploads have them: many small ones, few large; `n` picks the size. */
export function bodyOf(n: number): Buffer {
  return randomBytes(BODY_SIZES_BYTES[n % BODY_SIZES_BYTES.length] ?? 100);
}
