import { createHash, randomBytes } from 'node:crypto';
import { Pool } from 'undici';

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
  /** One user's connections. */
  readonly pool: Pool;
  /** The Host header, when it is not the address's. */
  readonly host?: string | undefined;
}

export interface UserOptions {
  /** The origin to call: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Until the answer's head has come, and between two pieces of its body; waiting for a connection not counted. */
  readonly timeoutMs: number;
}

/** As many as a browser opens to one site. */
const CONNECTIONS_PER_USER = 6;
/** Below what any front keeps idle connections for, so that it is the client that closes them. */
const IDLE_CONNECTION_MS = 3_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** The keep-alive connections of one user. Whoever opens them closes them with `destroy`. */
export function openConnections({ url, timeoutMs }: UserOptions): Pool {
  return new Pool(url, {
    connections: CONNECTIONS_PER_USER,
    pipelining: 1,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    keepAliveMaxTimeout: IDLE_CONNECTION_MS,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs) },
  });
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
  const { id, user, body } = visit;
  const request = {
    path: `/visit${visit.query ?? ''}`,
    method: body === undefined ? ('GET' as const) : ('POST' as const),
    headers: {
      ...(options.host === undefined ? {} : { host: options.host }),
      cookie: `session=${user}`,
      'x-load-id': id,
    },
    ...(body === undefined ? {} : { body }),
  };
  return new Promise((resolve, reject) => {
    let status = 0;
    const chunks: Buffer[] = [];
    options.pool.dispatch(request, {
      onRequestStart: () => {},
      onResponseStart: (_controller, statusCode) => {
        status = statusCode;
      },
      onResponseData: (_controller, chunk) => {
        chunks.push(chunk);
      },
      onResponseEnd: () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (status !== 200) return reject(new Error(`status ${status}: ${text}`));
        try {
          resolve(JSON.parse(text) as VisitAnswer);
        } catch {
          reject(new Error(`not JSON: ${text.slice(0, 80)}`));
        }
      },
      onResponseError: (_controller, error) => reject(error),
    });
  });
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'UND_ERR_SOCKET') return `closed without an answer: ${message}`;
  return (code === undefined ? message : `${code}: ${message}`).slice(0, 200);
}

const BODY_SIZES_BYTES = [100, 300, 700, 1_500, 4_096, 10_000, 16_384];

/** A body as forms and uploads have them: many small ones, few large; `n` picks the size. */
export function bodyOf(n: number): Buffer {
  return randomBytes(BODY_SIZES_BYTES[n % BODY_SIZES_BYTES.length] ?? 100);
}
