import { once } from 'node:events';
import t from 'tap';
import { eventually, hold, rawClient, startApp, startFrontFor } from '../proxy/harness.ts';

const GET = ['GET / HTTP/1.1', 'Host: x', '', ''];

t.test(
  'beyond the number of held requests, 503 with Retry-After at once; the others are answered',
  async (t) => {
    const app = await startApp(t, (_req, res) => res.end('ok'));
    const front = await startFrontFor(t, app, { limits: { maxHeldRequests: 3 } });
    await hold(front);
    const held = [0, 1, 2].map(() => rawClient(t, front.port).send(...GET));
    await eventually(() => front.gates.snapshot('app').heldRequests === 3);
    const refused = rawClient(t, front.port).send(...GET);
    const text = await refused.until('TOO_MANY_HELD');
    t.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*Retry-After: 1\r\n/);
    await front.gates.release('app', { host: 'a', url: app.url });
    for (const client of held) await client.until('ok');
    t.ok(front.lines.includes('rejected app too-many-held'));
  },
);

t.test('held bytes count heads whole and bodies up to what may be read of them', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  const front = await startFrontFor(t, app, { limits: { maxHeldBytes: 400_000 } });
  const bytes = () => front.gates.snapshot('app').heldBytes;
  await hold(front);
  rawClient(t, front.port).send('GET /0123456789 HTTP/1.1', 'Host: x', '', '');
  await eventually(() => bytes() > 0);
  t.equal(bytes(), '/0123456789'.length + 'Hostx'.length);
  rawClient(t, front.port).send('POST / HTTP/1.1', 'Host: x', 'Content-Length: 1000', '', '');
  await eventually(() => bytes() > 1_000);
  t.ok(bytes() < 1_100);
  const huge = rawClient(t, front.port).send(
    'POST / HTTP/1.1',
    'Host: x',
    'Content-Length: 99999999',
    '',
    '',
  );
  await eventually(() => bytes() > 64 << 10);
  t.ok(bytes() < 200_000, `${bytes()}`);
  rawClient(t, front.port).send('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked', '', '');
  await eventually(() => front.gates.snapshot('app').heldRequests === 4);
  const texts = [0, 1, 2].map(async () => {
    const client = rawClient(t, front.port).send(
      'POST / HTTP/1.1',
      'Host: x',
      'Content-Length: 99999999',
      '',
      '',
    );
    return (await client.until(/}\n$/)).match(/^HTTP\/1\.1 503[\s\S]*"(TOO_MANY_BYTES_HELD)"/)?.[1];
  });
  t.equal(await Promise.any(texts), 'TOO_MANY_BYTES_HELD');
  huge.socket.destroy();
  const before = bytes();
  await eventually(() => bytes() < before);
});

t.test('a request that has waited too long is answered 503, the younger ones wait on', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  const front = await startFrontFor(t, app, { limits: { maxHoldMs: 60_000 } });
  const held = () => front.gates.snapshot('app').heldRequests;
  await hold(front);
  const now = performance.now.bind(performance);
  let laterMs = 0;
  t.intercept(performance, 'now', { value: () => now() + laterMs });
  const old = rawClient(t, front.port).send(...GET);
  await eventually(() => held() === 1);
  laterMs += 40_000;
  const young = rawClient(t, front.port).send(...GET);
  await eventually(() => held() === 2);
  laterMs += 40_000;
  t.match(await old.until('HELD_TOO_LONG'), /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n/);
  t.equal(young.text, '');
  await front.gates.release('app', { host: 'a', url: app.url });
  await young.until('ok');
  t.ok(front.lines.includes('hold-ended app timed-out'));
});

t.test(
  'a client that goes away leaves the queue at once, and its request never reaches the app',
  async (t) => {
    const seen: (string | undefined)[] = [];
    const app = await startApp(t, (req, res) => {
      seen.push(req.url);
      res.end('ok');
    });
    const front = await startFrontFor(t, app);
    const held = () => front.gates.snapshot('app').heldRequests;
    await hold(front);
    const clients = [0, 1, 2, 3].map((i) =>
      rawClient(t, front.port).send(`GET /${i} HTTP/1.1`, 'Host: x', '', ''),
    );
    await eventually(() => held() === 4);
    clients[0]?.socket.destroy();
    await eventually(() => held() === 3);
    clients[3]?.socket.resetAndDestroy();
    await eventually(() => held() === 2);
    clients[1]?.socket.end();
    await eventually(() => held() === 1);
    await front.gates.release('app', { host: 'a', url: app.url });
    await clients[2]?.until('ok');
    t.strictSame(seen, ['/2']);
    t.equal(front.lines.filter((line) => line === 'hold-ended app client-gone').length, 3);
  },
);

t.test('a pipeline of held requests leaves with its client, whole', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  const front = await startFrontFor(t, app);
  await hold(front);
  const client = rawClient(t, front.port);
  for (let i = 0; i < 5; i += 1) client.send(...GET);
  await eventually(() => front.gates.snapshot('app').heldRequests === 5);
  client.socket.destroy();
  await eventually(() => front.gates.snapshot('app').heldRequests === 0);
});

t.test('the body of a held upload stays with the client, and arrives whole after the release', async (t) => {
  const sizeBytes = 50 << 20;
  const app = await startApp(t, (req, res) => {
    let received = 0;
    req.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    req.on('end', () => res.end(`received ${received}`));
  });
  const front = await startFrontFor(t, app);
  await hold(front);
  let read = 0;
  front.proxy.server.once('connection', (socket) => {
    read = -1;
    const timer = setInterval(() => {
      read = socket.bytesRead;
    }, 5);
    socket.once('close', () => clearInterval(timer));
  });
  const client = rawClient(t, front.port);
  const before = process.memoryUsage().rss;
  client.send('POST / HTTP/1.1', 'Host: x', `Content-Length: ${sizeBytes}`, '', '');
  const piece = Buffer.alloc(1 << 16);
  let sent = 0;
  const feed = () => {
    while (sent < sizeBytes) {
      sent += piece.length;
      if (!client.socket.write(piece)) {
        client.socket.once('drain', feed);
        return;
      }
    }
  };
  feed();
  await eventually(() => front.gates.snapshot('app').heldRequests === 1);
  // Stalled when nothing more has been taken for fifty looks in a row.
  let last = -1;
  let quiet = 0;
  await eventually(() => {
    quiet = sent === last ? quiet + 1 : 0;
    last = sent;
    return quiet > 50;
  });
  t.ok(read < 1 << 18, `the proxy has read ${read} bytes`);
  t.ok(sent < sizeBytes / 2, `the client has sent ${sent} bytes`);
  t.ok(process.memoryUsage().rss - before < 20 << 20);
  await front.gates.release('app', { host: 'a', url: app.url });
  await client.until(`received ${sizeBytes}`);
});

t.test('shutting the gates turns away what they hold', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  const front = await startFrontFor(t, app);
  await hold(front);
  const client = rawClient(t, front.port).send(...GET);
  await once(client.socket, 'connect');
  await eventually(() => front.gates.snapshot('app').heldRequests === 1);
  await front.gates.close();
  t.match(await client.until('CLOSING'), /^HTTP\/1\.1 503/);
  t.ok(front.lines.includes('hold-ended app failed'));
});
