import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import t from 'tap';
import { eventually, hold, rawClient, startApp, startFront, startFrontFor } from '../proxy/harness.ts';

const get = (path: string) => [`GET ${path} HTTP/1.1`, 'Host: x', '', ''];
const post = (path: string, body: string) => [
  `POST ${path} HTTP/1.1`,
  'Host: x',
  `Content-Length: ${body.length}`,
  '',
  body,
];

t.test('a hold answers what is in flight, and leaves no connection to the app', async (t) => {
  const waiting: ServerResponse[] = [];
  const app = await startApp(t, (req, res) => {
    if (req.url === '/slow') waiting.push(res);
    else res.end('quick');
  });
  let connections = 0;
  app.server.on('connection', (socket) => {
    connections += 1;
    socket.once('close', () => {
      connections -= 1;
    });
  });
  const front = await startFrontFor(t, app);
  const slow = rawClient(t, front.port).send(...get('/slow'));
  const quick = rawClient(t, front.port).send(...get('/quick'));
  await quick.until('quick');
  await eventually(() => waiting.length === 1);
  const holding = hold(front);
  t.equal(front.gates.snapshot('app').state, 'draining');
  const late = rawClient(t, front.port).send(...get('/late'));
  await eventually(() => front.gates.snapshot('app').heldRequests === 1);
  t.equal(connections, 2);
  waiting[0]?.end('slow');
  const report = await holding;
  t.equal(connections, 0);
  t.equal(report.drainedRequests, 1);
  t.match(await slow.until('slow'), '200');
  t.match(front.gates.snapshot('app'), { state: 'held', inFlight: 0, heldRequests: 1 });
  t.equal(late.text, '');
  await front.gates.release('app', { host: 'a', url: app.url });
  await late.until('quick');
  t.strictSame(
    front.lines.filter((line) => line.startsWith('hold')),
    ['hold-ended app released'],
  );
});

t.test('a connection the app will not close is reset, and the hold goes on', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  app.server.on('connection', (socket) => {
    // Deaf to the end of the connection, as an app busy elsewhere is.
    socket.removeAllListeners('end');
  });
  const front = await startFrontFor(t, app);
  await rawClient(t, front.port)
    .send(...get('/'))
    .until('ok');
  const errors = once(app.server, 'connection').catch(() => {});
  await hold(front);
  t.equal(front.gates.snapshot('app').state, 'held');
  await front.gates.release('app', { host: 'a', url: app.url });
  await rawClient(t, front.port)
    .send(...get('/'))
    .until('ok');
  await errors;
});

t.test(
  'the queue is let go in order of arrival and no faster than told, to the new target only',
  async (t) => {
    // What is on the wire first. Which of several connections an app then reads first is its own affair.
    const order: string[] = [];
    const onSent = (message: unknown) => order.push((message as { request: { path: string } }).request.path);
    diagnostics.subscribe('undici:client:sendHeaders', onSent);
    t.teardown(() => diagnostics.unsubscribe('undici:client:sendHeaders', onSent));
    let now = 0;
    let most = 0;
    const source = await startApp(t, (_req, res) => res.end('source'));
    const destination = await startApp(t, (req, res) => {
      now += 1;
      most = Math.max(most, now);
      req.resume().on('end', () =>
        setTimeout(() => {
          now -= 1;
          res.end(`destination ${req.url};`);
        }, Math.random() * 5),
      );
    });
    const front = await startFrontFor(t, source, { limits: { releaseConcurrency: 7 } });
    await hold(front);
    const expected: string[] = [];
    const clients = [];
    for (let i = 0; i < 150; i += 1) {
      const path = `/${i}`;
      expected.push(path);
      const client = rawClient(t, front.port).send(...(i % 3 === 0 ? post(path, 'body') : get(path)));
      clients.push(client);
      await eventually(() => front.gates.snapshot('app').heldRequests === i + 1);
    }
    const report = await front.gates.release('app', { host: 'b', url: destination.url });
    t.equal(report.heldRequests, 150);
    t.ok(report.holdMs > 0);
    t.equal(front.gates.snapshot('app').state, 'releasing');
    const late = rawClient(t, front.port).send(...get('/late'));
    await Promise.all(clients.map((client, i) => client.until(`destination /${i};`)));
    await late.until('destination /late;');
    t.strictSame(order, [...expected, '/late']);
    t.equal(most, 7);
    await eventually(() => front.gates.snapshot('app').inFlight === 0);
    t.match(front.gates.snapshot('app'), { state: 'open', heldRequests: 0, heldBytes: 0 });
  },
);

t.test('when the drain budget runs out the gate opens again and nobody has failed', async (t) => {
  const waiting: ServerResponse[] = [];
  const app = await startApp(t, (req, res) => {
    if (req.url === '/stuck') waiting.push(res);
    else res.end(`answer ${req.url}`);
  });
  const front = await startFrontFor(t, app, { limits: { releaseConcurrency: 1 } });
  const stuck = [0, 1].map(() => rawClient(t, front.port).send(...get('/stuck')));
  await eventually(() => waiting.length === 2);
  const holding = hold(front, 100);
  const held = [0, 1, 2].map((i) => rawClient(t, front.port).send(...get(`/${i}`)));
  await t.rejects(holding, {
    code: 'DRAIN_TIMEOUT',
    retryable: true,
    message: /^2 requests and 0 upgraded connections .* in flight after 100 ms/,
  });
  for (const [i, client] of held.entries()) await client.until(`answer /${i}`);
  for (const res of waiting) res.end('at last');
  for (const client of stuck) await client.until('at last');
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
  t.equal(front.gates.snapshot('app').state, 'open');
  await hold(front);
});

t.test('a hold that is aborted, or released while it drains, is called off', async (t) => {
  const waiting: ServerResponse[] = [];
  const app = await startApp(t, (req, res) => {
    if (req.url === '/stuck') waiting.push(res);
    else res.end('ok');
  });
  const target = { host: 'a', url: app.url };
  const front = await startFrontFor(t, app);
  const stuck = rawClient(t, front.port).send(...get('/stuck'));
  await eventually(() => waiting.length === 1);

  const abort = new AbortController();
  const aborted = front.gates.hold('app', { drainTimeoutMs: 5_000, signal: abort.signal });
  await t.rejects(hold(front), { code: 'GATE_BUSY' });
  abort.abort();
  await t.rejects(aborted, { code: 'HOLD_CALLED_OFF' });

  const released = hold(front);
  const rejected = t.rejects(released, { code: 'HOLD_CALLED_OFF' });
  const held = rawClient(t, front.port).send(...get('/'));
  await eventually(() => front.gates.snapshot('app').heldRequests === 1);
  await front.gates.release('app', target);
  await rejected;
  await held.until('ok');
  waiting[0]?.end('stuck');
  await stuck.until('stuck');
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
  t.equal(front.gates.snapshot('app').state, 'open');
});

t.test(
  'a second hold while the queue is being let go takes effect at once and keeps the order',
  async (t) => {
    const order: string[] = [];
    let second: Promise<unknown> | undefined;
    const app = await startApp(t, (req, res) => {
      order.push(req.url ?? '');
      if (req.url === '/3') second = hold(front);
      setTimeout(() => res.end('ok'), 5);
    });
    const front = await startFrontFor(t, app, { limits: { releaseConcurrency: 2 } });
    const target = { host: 'a', url: app.url };
    await hold(front);
    const clients = [];
    for (let i = 0; i < 10; i += 1) {
      clients.push(rawClient(t, front.port).send(...get(`/${i}`)));
      await eventually(() => front.gates.snapshot('app').heldRequests === i + 1);
    }
    await front.gates.release('app', target);
    await eventually(() => second !== undefined);
    await second;
    const { heldRequests } = front.gates.snapshot('app');
    t.ok(heldRequests >= 5, `${heldRequests} wait on`);
    t.equal(order.length, 10 - heldRequests);
    await front.gates.release('app', target);
    for (const client of clients) await client.until('ok');
    t.strictSame(
      order,
      clients.map((_client, i) => `/${i}`),
    );
  },
);

t.test(
  'a gateway that starts into an unfinished migration holds until it is told where the app runs',
  async (t) => {
    const app = await startApp(t, (_req, res) => res.end('ok'));
    const front = await startFront(t);
    front.gates.closeAtStart('app');
    const client = rawClient(t, front.port).send(...get('/'));
    await eventually(() => front.gates.snapshot('app').heldRequests === 1);
    front.gates.setTarget('app', { host: 'a', url: app.url });
    t.match(front.gates.snapshot('app'), { state: 'held', target: { host: 'a' } });
    const report = await front.gates.release('app', { host: 'b', url: app.url });
    t.equal(report.heldRequests, 1);
    await client.until('ok');
    t.strictSame(front.gates.snapshot('app'), {
      state: 'open',
      target: { host: 'b', url: app.url },
      inFlight: 0,
      heldRequests: 0,
      heldBytes: 0,
    });
  },
);

t.test('what cannot be held says so', async (t) => {
  const front = await startFront(t);
  await t.rejects(hold(front), { code: 'NO_TARGET' });
  await t.rejects(front.gates.hold('none', { drainTimeoutMs: 1, signal: AbortSignal.timeout(1_000) }), {
    code: 'APP_UNKNOWN',
  });
});

t.test(
  'an open gate that is told another place sends new requests there and lets the old ones finish',
  async (t) => {
    const waiting: ServerResponse[] = [];
    const before = await startApp(t, (_req, res) => waiting.push(res));
    const after = await startApp(t, (_req, res) => res.end('after'));
    const front = await startFrontFor(t, before);
    const old = rawClient(t, front.port).send(...get('/'));
    await eventually(() => waiting.length === 1);
    front.gates.setTarget('app', { host: 'b', url: after.url });
    await rawClient(t, front.port)
      .send(...get('/'))
      .until('after');
    waiting[0]?.end('before');
    await old.until('before');
  },
);

t.test('a gate that is told the app is nowhere says so', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  const front = await startFrontFor(t, app);
  front.gates.setTarget('app', undefined);
  const client = rawClient(t, front.port).send(...get('/'));
  t.match(await client.until('NO_TARGET'), /^HTTP\/1\.1 503 /);
  front.gates.setTarget('app', { host: 'a', url: app.url });
  await rawClient(t, front.port)
    .send(...get('/'))
    .until('ok');
});
