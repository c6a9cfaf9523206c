import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import t from 'tap';
import { readState } from './app-state.ts';
import { type Exchange, exchange, nowMs, openConnections } from './exchange.ts';
import { startLocalApp } from './local-app.ts';

const visitor = (url: string) => {
  const pool = openConnections({ url, timeoutMs: 5_000 });
  return {
    close: () => pool.destroy(),
    visit: (id: string, user: string, body?: Buffer): Promise<Exchange> =>
      exchange({ id, user, intendedAtMs: nowMs(), ...(body === undefined ? {} : { body }) }, { pool }),
  };
};

const answerOf = (one: Exchange) => {
  if (one.outcome === 'failed') throw new Error(one.reason);
  return one.answer;
};

t.test('each request is chained to the one before, and each user has a counter', async (t) => {
  const app = await startLocalApp();
  const { visit, close } = visitor(app.url);
  try {
    const first = answerOf(await visit('r1', 'ann'));
    const second = answerOf(await visit('r2', 'bob', Buffer.from('hello')));
    const third = answerOf(await visit('r3', 'ann'));
    t.same([first.seq, second.seq, third.seq], [1, 2, 3]);
    t.same([first.count, second.count, third.count], [1, 1, 2]);
    t.equal(second.prev, first.hash);
    t.equal(third.prev, second.hash);
    t.equal(third.hash, createHash('sha256').update(second.hash).update('r3').digest('hex'));
    t.equal(second.digest, createHash('sha256').update('hello').digest('hex'));
    const state = await readState(app.url, undefined, 'ann');
    t.match(state, { seq: 3, head: third.hash, users: 2, duplicates: 0, count: 2, pid: app.process.pid });
  } finally {
    await close();
    await app[Symbol.asyncDispose]();
  }
});

t.test('a request that comes twice is counted as a duplicate', async (t) => {
  const app = await startLocalApp();
  const { visit, close } = visitor(app.url);
  try {
    await visit('r1', 'ann');
    await visit('r1', 'ann');
    t.match(await readState(app.url), { seq: 2, duplicates: 1 });
  } finally {
    await close();
    await app[Symbol.asyncDispose]();
  }
});

t.test('a visit without an id or a session is refused and does not count', async (t) => {
  const app = await startLocalApp();
  try {
    t.equal((await fetch(`${app.url}/visit`)).status, 400);
    t.equal((await fetch(`${app.url}/nowhere`)).status, 404);
    t.equal((await readState(app.url)).seq, 0);
  } finally {
    await app[Symbol.asyncDispose]();
  }
});

t.test('the memory is filled before the app listens', async (t) => {
  const app = await startLocalApp({ MEMORY_MIB: '8' });
  try {
    t.equal((await fetch(`${app.url}/health`)).status, 200);
    const { memoryBytes } = await readState(app.url);
    t.equal(memoryBytes, 8 << 20);
  } finally {
    await app[Symbol.asyncDispose]();
  }
});

interface Records {
  readonly RECORD_BYTES: number;
  readonly fillings: Readonly<Record<'sessions' | 'random', (place: Buffer) => void>>;
  touch(place: Buffer): void;
}
const { RECORD_BYTES, fillings, touch } = (await import(
  new URL('app/records.mjs', import.meta.url).href
)) as Records;
const recordsOf = (kind: 'sessions' | 'random') =>
  Array.from({ length: 4_000 }, () => {
    const place = Buffer.alloc(RECORD_BYTES);
    fillings[kind](place);
    return place;
  });
const distinct = (records: readonly Buffer[]) => new Set(records.map((one) => one.toString('latin1'))).size;
const ratioOf = (records: readonly Buffer[]) => {
  const plain = Buffer.concat(records);
  return plain.length / deflateSync(plain, { level: 1 }).length;
};

t.test('session records are JSON, compress as heaps do, and no two are alike', async (t) => {
  const records = recordsOf('sessions');
  const ratio = ratioOf(records);
  t.ok(ratio > 2.5 && ratio < 4, `ratio ${ratio.toFixed(2)}`);
  t.equal(distinct(records), records.length);
  const whole = records.find((one) => one.toString().trimEnd().endsWith('}'));
  t.match(JSON.parse(whole?.toString() ?? ''), {
    sid: /^[0-9a-f]{32}$/,
    cart: [{ price: Number }, {}, {}],
    cookie: { expires: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ },
  });
});

t.test('a touched session has a new token, and is the same otherwise', async (t) => {
  const place = Buffer.alloc(RECORD_BYTES, ' ');
  place.write(
    JSON.stringify({ sid: 'f'.repeat(32), csrfToken: 'A'.repeat(32), signature: 's', cart: [1, 2, 3] }),
  );
  const before = JSON.parse(place.toString()) as Record<string, unknown>;
  touch(place);
  const { csrfToken, ...after } = JSON.parse(place.toString()) as Record<string, unknown>;
  t.match(csrfToken, /^[\w-]{32}$/);
  t.not(csrfToken, before.csrfToken);
  t.same({ ...before, csrfToken: undefined }, { ...after, csrfToken: undefined });
});

t.test('random records do not compress at all', async (t) => {
  const records = recordsOf('random');
  t.ok(ratioOf(records) < 1.01);
  t.equal(distinct(records), records.length);
});

t.test('memory of no known kind is refused', async (t) => {
  const { SessionStore } = (await import(new URL('app/sessions.mjs', import.meta.url).href)) as {
    SessionStore: new (sizeMib: number, kind: string) => unknown;
  };
  t.throws(() => new SessionStore(1, 'velvet'), /sessions or random, not velvet/);
});
