import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { nowMs } from './exchange.ts';
import { longestGap } from './figures.ts';
import { Load } from './load.ts';
import { startLocalApp } from './local-app.ts';

const until = async (done: () => boolean) => {
  for (const signal = AbortSignal.timeout(20_000); !done(); signal.throwIfAborted()) await delay(5);
};

t.test('a run against the app: all is answered, and the chain is unbroken', async (t) => {
  const app = await startLocalApp();
  const load = new Load({ url: app.url, ratePerS: 400, clients: 8 });
  try {
    await until(() => load.exchanges.length >= 200);
    const { verdict, exchanges, state } = await load.finish();
    t.match(verdict, { failed: 0, lost: 0, duplicated: 0, corrupted: 0, chain: 'unbroken', faults: [] });
    t.equal(verdict.requests, exchanges.length);
    t.equal(state.seq, exchanges.length);
    t.equal(state.users, 8);
    const posts = exchanges.filter((one) => one.method === 'POST').length;
    t.ok(Math.abs(posts / exchanges.length - 0.3) < 0.02, 'three in ten are POSTs with bodies');
  } finally {
    await load.stop();
    await app[Symbol.asyncDispose]();
  }
});

t.test('the schedule does not wait for answers, and latency counts from the intended time', async (t) => {
  const held: (() => void)[] = [];
  let stalled = true;
  const server = createServer((request, response) => {
    request.resume();
    const answer = () => response.end('{}');
    if (stalled) held.push(answer);
    else answer();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // One client has six connections: the seventh request on must wait, yet none of them is left out.
  const load = new Load({ url, ratePerS: 200, clients: 1 });
  try {
    const fromMs = nowMs();
    await until(() => held.length === 6);
    await delay(300);
    const stallEndedMs = nowMs();
    stalled = false;
    for (const answer of held) answer();
    await until(() => load.exchanges.length >= 60);
    await load.stop();
    const byTime = [...load.exchanges].sort((a, b) => a.intendedAtMs - b.intendedAtMs);
    const steps = byTime.slice(1).map((one, n) => one.intendedAtMs - (byTime[n]?.intendedAtMs ?? 0));
    t.ok(
      steps.every((step) => Math.abs(step - 5) < 0.01),
      'intended times are 5 ms apart throughout',
    );
    const during = byTime.filter((one) => one.intendedAtMs < stallEndedMs);
    t.ok(during.length > 50, `${during.length} requests were due during the stall`);
    t.ok(
      during.every((one) => one.doneAtMs - one.intendedAtMs >= stallEndedMs - one.intendedAtMs),
      'each of them has waited for the end of the stall',
    );
    const figures = load.figures(fromMs, nowMs());
    t.ok(figures.max >= stallEndedMs - fromMs - 100, 'the longest wait is that of the first');
    t.ok(figures.blackoutMs >= stallEndedMs - fromMs - 1, 'and the blackout lasts as long as the stall');
  } finally {
    stalled = false;
    for (const answer of held) answer();
    await load.stop();
    server.closeAllConnections();
    server.close();
  }
});

t.test('errors are kept with their reason', async (t) => {
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'GET') response.socket?.destroy();
    else response.writeHead(503).end('full');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const load = new Load({ url, ratePerS: 200, clients: 2, postShare: 0.5 });
  try {
    await until(() => load.exchanges.length >= 20);
    await load.stop();
    const reasons = new Set(
      load.exchanges.map((one) => (one.outcome === 'failed' ? `${one.method} ${one.reason}` : 'answered')),
    );
    t.same([...reasons].sort(), ['GET closed without an answer: other side closed', 'POST status 503: full']);
  } finally {
    await load.stop();
    server.closeAllConnections();
    server.close();
  }
});

t.test('the longest gap counts the edges of its window', async (t) => {
  t.equal(longestGap([10, 12, 30, 31], 9, 35), 18);
  t.equal(longestGap([30, 12], 0, 35), 18);
  t.equal(longestGap([10], 0, 40), 30);
  t.equal(longestGap([], 5, 40), 35);
});
