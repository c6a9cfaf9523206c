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

t.test('session records compress as heaps do: by two and a half to four, and no two are alike', async (t) => {
  const { record } = (await import(new URL('app/sessions.mjs', import.meta.url).href)) as {
    record(): string;
  };
  const records = Array.from({ length: 4_000 }, record);
  const plain = Buffer.from(records.join(''));
  const ratio = plain.length / deflateSync(plain, { level: 1 }).length;
  t.ok(ratio > 2.5 && ratio < 4, `ratio ${ratio.toFixed(2)}`);
  t.equal(new Set(records).size, records.length);
});
