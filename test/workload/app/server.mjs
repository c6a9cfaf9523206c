/**
 * The app that is moved: a web shop's session service whose whole state is in memory. No dependencies, Node ≥ 18.
 *
 * | request | answer |
 * |---|---|
 * | `GET` or `POST /visit` | `{id, seq, prev, hash, user, count}` (see ledger.mjs); for a POST also the body's `digest` and `sizeBytes` |
 * | `GET /page` | a page of some kilobyte from the sessions; changes nothing, for load that is not checked |
 * | `GET /state` | totals, chain head, pid, start time; with `?user=U` also that user's count |
 * | `POST /rewrite` | its head at once, its end when the body has ended and every session was written to |
 * | `GET /health` | 200 once the memory is filled |
 *
 * A visit's user is the cookie `session`, its id the header `x-load-id`. `?delayMs=` makes the answer wait.
 * Environment: `PORT`, `HOST`, `MEMORY_MIB`, `MEMORY_KIND` (`sessions` or `random`), `DIRTY_MIB_PER_S`.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Ledger } from './ledger.mjs';
import { SessionStore } from './sessions.mjs';

const BODY_LIMIT_BYTES = 1 << 20;
const DELAY_LIMIT_MS = 60_000;

const startedAt = new Date().toISOString();
const ledger = new Ledger();
const sessions = new SessionStore(numberFrom('MEMORY_MIB', 0), process.env.MEMORY_KIND);
sessions.keepDirtying(numberFrom('DIRTY_MIB_PER_S', 0));
let inFlight = 0;
let peakInFlight = 0;

const server = createServer((request, response) => {
  inFlight += 1;
  peakInFlight = Math.max(peakInFlight, inFlight);
  response.once('close', () => {
    inFlight -= 1;
  });
  answer(request, response).catch(() => response.destroy());
});
// Longer than any proxy in front keeps a connection idle, so that it is never this side that closes one in use.
server.keepAliveTimeout = 120_000;
server.listen(numberFrom('PORT', 8080), process.env.HOST ?? '0.0.0.0', () => {
  process.stdout.write(`listening on ${server.address().port}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    sessions.close();
    server.close();
    server.closeAllConnections();
  });
}

async function answer(request, response) {
  const url = new URL(request.url, 'http://app');
  if (url.pathname === '/health') return reply(response, 200, { ok: true });
  if (url.pathname === '/page') return reply(response, 200, { session: sessions.any() });
  if (url.pathname === '/state') return reply(response, 200, state(url.searchParams.get('user')));
  if (url.pathname === '/rewrite') return rewrite(request, response);
  if (url.pathname === '/visit') return visit(request, response, url);
  return reply(response, 404, { error: 'no such page' });
}

async function visit(request, response, url) {
  const id = request.headers['x-load-id'];
  const user = /(?:^|;\s*)session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  if (id === undefined || user === undefined) {
    return reply(response, 400, { error: 'a visit needs x-load-id and a session' });
  }
  const body = request.method === 'POST' ? await digest(request) : {};
  if (body.sizeBytes > BODY_LIMIT_BYTES) return reply(response, 413, { error: 'the body is too large' });
  const delayMs = Math.min(Number(url.searchParams.get('delayMs') ?? 0), DELAY_LIMIT_MS);
  if (delayMs > 0) await delay(delayMs);
  return reply(response, 200, { ...ledger.append(user, id), ...body });
}

async function rewrite(request, response) {
  response.writeHead(200).flushHeaders();
  await digest(request);
  sessions.rewrite();
  response.end();
}

/** Throws when the client breaks off in the middle of its body: such a request never counts. */
async function digest(request) {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of request) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { digest: hash.digest('hex'), sizeBytes };
}

function state(user) {
  return {
    ...ledger.state(),
    pid: process.pid,
    startedAt,
    memoryBytes: sessions.sizeBytes,
    inFlight,
    peakInFlight,
    ...(user === null ? {} : { count: ledger.count(user) }),
  };
}

function reply(response, status, value) {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

function numberFrom(name, fallback) {
  const value = Number(process.env[name] ?? fallback);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} must be a number, not negative`);
  return value;
}
