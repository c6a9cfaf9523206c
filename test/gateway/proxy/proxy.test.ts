import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import t from 'tap';
import { Forwarded } from '../../../gateway/proxy/request-head.ts';
import { eventually, rawClient, startApp, startFront, startFrontFor } from './harness.ts';

t.test('headers reach both sides in order, with duplicates, without what belongs to one hop', async (t) => {
  let seen: string[] = [];
  const app = await startApp(t, (req, res) => {
    seen = req.rawHeaders;
    res.writeHead(200, [
      'Set-Cookie',
      'a=1',
      'X-One',
      '1',
      'Set-Cookie',
      'b=2',
      'Connection',
      'x-secret',
      'X-Secret',
      's',
      'Content-Length',
      '2',
    ]);
    res.end('ok');
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send(
    'GET /p?q=1 HTTP/1.1',
    'Host: shop.example',
    'X-B: 1',
    'X-A: 2',
    'X-B: 3',
    'Connection: keep-alive, X-Gone',
    'X-Gone: 1',
    'TE: trailers, deflate',
    'X-Forwarded-For: 9.9.9.9',
    'Forwarded: for=9.9.9.9',
    '',
    '',
  );
  const text = await client.until(/\r\n\r\nok$/);
  t.match(
    text,
    /^HTTP\/1\.1 200 OK\r\nSet-Cookie: a=1\r\nX-One: 1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n/,
  );
  t.notMatch(text, /x-secret/i);
  t.strictSame(seen, [
    'host',
    'shop.example',
    'connection',
    'keep-alive',
    'X-B',
    '1',
    'X-A',
    '2',
    'X-B',
    '3',
    'TE',
    'trailers',
    'X-Forwarded-For',
    '127.0.0.1',
    'X-Forwarded-Proto',
    'http',
    'X-Forwarded-Host',
    'shop.example',
  ]);
  t.strictSame(front.lines, ['finished app GET 200 target']);
});

t.test('forwarded headers of a trusted proxy are kept and added to', async (t) => {
  const app = await startApp(t, (req, res) => res.end(JSON.stringify(req.headers)));
  const front = await startFrontFor(t, app, { forwarded: Forwarded.extended });
  const client = rawClient(t, front.port).send(
    'GET / HTTP/1.1',
    'Host: x',
    'X-Forwarded-For: 9.9.9.9',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: shop.example',
    '',
    '',
  );
  const text = await client.until(/}/);
  t.match(text, '"x-forwarded-for":"9.9.9.9, 127.0.0.1"');
  t.match(text, '"x-forwarded-proto":"https"');
  t.match(text, '"x-forwarded-host":"shop.example"');
});

t.test('connections are kept alive on both sides', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  let connections = 0;
  app.server.on('connection', () => {
    connections += 1;
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port);
  for (const method of ['GET', 'HEAD', 'GET', 'HEAD', 'GET']) {
    client.text = '';
    client.send(`${method} / HTTP/1.1`, 'Host: x', '', '');
    await client.until(method === 'HEAD' ? /\r\n\r\n/ : /\r\n\r\nok$/);
  }
  t.equal(connections, 1);
});

t.test('HEAD, 204 and 304 have no body, and the next answer on the connection is whole', async (t) => {
  const app = await startApp(t, (req, res) => {
    if (req.url === '/204' || req.url === '/304')
      res.writeHead(Number(req.url.slice(1)), { ETag: '"e"' }).end();
    else res.writeHead(200, { 'Content-Length': '5' }).end('hello');
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send(
    'HEAD / HTTP/1.1',
    'Host: x',
    '',
    'GET /204 HTTP/1.1',
    'Host: x',
    '',
    'GET /304 HTTP/1.1',
    'Host: x',
    '',
    'GET / HTTP/1.1',
    'Host: x',
    '',
    '',
  );
  const text = await client.until(/hello$/);
  const heads = text.split('\r\n\r\n');
  t.match(heads[0], /200 OK[\s\S]*Content-Length: 5/);
  t.match(heads[1], /^HTTP\/1\.1 204/);
  t.match(heads[2], /^HTTP\/1\.1 304/);
  t.match(heads[3], /^HTTP\/1\.1 200/);
  t.equal(heads[4], 'hello');
});

t.test('trailers and 103 pass through', async (t) => {
  const app = await startApp(t, (_req, res) => {
    res.writeEarlyHints({ link: '</a.css>; rel=preload' });
    res.writeHead(200, { Trailer: 'X-Sum' });
    res.write('body');
    res.addTrailers({ 'X-Sum': '42' });
    res.end();
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send('GET / HTTP/1.1', 'Host: x', 'TE: trailers', '', '');
  const text = await client.until(/X-Sum: 42\r\n\r\n$/);
  t.match(text, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200/i);
  t.match(text, /\r\nTrailer: X-Sum\r\n/);
});

t.test('a 100 is sent only when the request is sent on', async (t) => {
  const app = await startApp(t, (req, res) => req.pipe(res));
  const front = await startFrontFor(t, app);
  await front.gates.hold('app', { drainTimeoutMs: 1_000, signal: AbortSignal.timeout(5_000) });
  const head = ['POST / HTTP/1.1', 'Host: x', 'Content-Length: 4', 'Expect: 100-continue', '', ''];
  const client = rawClient(t, front.port).send(...head);
  await eventually(() => front.gates.snapshot('app').heldRequests === 1);
  t.equal(client.text, '');
  await front.gates.release('app', { host: 'a', url: app.url });
  await client.until('HTTP/1.1 100 Continue\r\n\r\n');
  client.send('data');
  await client.until(/data/);
  const refused = rawClient(t, (await startFront(t)).port).send(...head);
  t.match(await refused.until(/}\n$/), /^HTTP\/1\.1 503[\s\S]*Connection: close/);
});

t.test('an early answer to an upload arrives, and the connection goes on', async (t) => {
  const app = await startApp(t, (_req, res) => res.writeHead(413).end('too large'));
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send(
    'POST / HTTP/1.1',
    'Host: x',
    'Content-Length: 300000',
    '',
    'x',
  );
  await client.until('too large');
  client.text = '';
  client.send('x'.repeat(299_999)).send('GET / HTTP/1.1', 'Host: x', '', '');
  t.match(await client.until('too large'), /^HTTP\/1\.1 413/);
  t.equal(front.gates.snapshot('app').inFlight, 0);
});

t.test('a client that goes away takes the request to the app with it', async (t) => {
  const app = await startApp(t, () => {});
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send('GET / HTTP/1.1', 'Host: x', '', '');
  const [, res] = await once(app.server, 'request');
  t.equal(front.gates.snapshot('app').inFlight, 1);
  client.socket.destroy();
  await once(res, 'close');
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
  t.strictSame(front.lines, ['finished app GET 499 target']);
});

t.test('an answer that breaks off is never taken for a whole one', async (t) => {
  const app = await startApp(t, (_req, res) => {
    res.write('half');
    setImmediate(() => res.destroy());
  });
  const front = await startFrontFor(t, app);
  for (const version of ['1.1', '1.0']) {
    const client = rawClient(t, front.port);
    const failed = once(client.socket, 'error');
    client.send(`GET / HTTP/${version}`, 'Host: x', '', '');
    const [error] = await failed;
    t.equal(error.code, 'ECONNRESET', `HTTP/${version}`);
  }
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
});

t.test(
  'an app that refuses is a 502, one that is silent a 504, one not known a 503, no route a 404',
  async (t) => {
    const app = await startApp(t, () => {});
    const gone = await startApp(t, () => {});
    gone.server.close();
    const silent = await startFrontFor(t, app, { headTimeoutMs: 500 });
    const refused = await startFrontFor(t, gone);
    const unknown = await startFront(t);
    const unrouted = await startFront(t, { routes: [{ app: 'app', host: 'shop.example' }] });
    for (const [front, status, code] of [
      [refused, 502, 'UPSTREAM_UNREACHABLE'],
      [silent, 504, 'UPSTREAM_TIMEOUT'],
      [unknown, 503, 'NO_TARGET'],
      [unrouted, 404, 'NO_ROUTE'],
    ] as const) {
      const response = await fetch(`http://127.0.0.1:${front.port}/`);
      t.equal(response.status, status);
      t.match(await response.json(), { code });
      t.equal(response.headers.has('retry-after'), status === 503);
    }
  },
);

t.test('a kept-alive connection that breaks is tried once more for a GET, never for a POST', async (t) => {
  // Answers the first request of each connection and cuts it at the second.
  let cuts = 0;
  const server = createServer((socket) => {
    let requests = 0;
    socket.on('error', () => {});
    socket.on('data', () => {
      requests += 1;
      if (requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else {
        cuts += 1;
        socket.destroy();
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const front = await startFront(t);
  front.gates.setTarget('app', { host: 'a', url: `http://127.0.0.1:${port}` });
  const ask = async (method: string) => (await fetch(`http://127.0.0.1:${front.port}/`, { method })).status;
  t.equal(await ask('GET'), 200);
  t.equal(await ask('GET'), 200);
  t.equal(cuts, 1);
  t.equal(await ask('POST'), 502);
});

t.test('back-pressure holds in both directions', async (t) => {
  const sizeBytes = 64 << 20;
  let written = 0;
  const app = await startApp(t, (_req, res) => {
    const chunk = Buffer.alloc(1 << 16);
    const pump = () => {
      while (written < sizeBytes) {
        written += chunk.length;
        if (!res.write(chunk)) return;
      }
      res.end();
    };
    res.on('drain', pump);
    pump();
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port);
  client.socket.pause();
  client.send('GET / HTTP/1.1', 'Host: x', 'Connection: close', '', '');
  let before = -1;
  await eventually(() => {
    const isStalled = written > 0 && written === before;
    before = written;
    return isStalled;
  });
  t.ok(written < sizeBytes / 2, `the app wrote ${written}`);
  let received = 0;
  client.socket.removeAllListeners('data');
  client.socket.on('data', (chunk) => {
    received += chunk.length;
  });
  client.socket.resume();
  await once(client.socket, 'end');
  t.ok(received > sizeBytes);
});

t.test('close lets what is in flight finish, and destroys it when time is up', async (t) => {
  const app = await startApp(t, () => {});
  const front = await startFrontFor(t, app);
  const slow = rawClient(t, front.port).send('GET /slow HTTP/1.1', 'Host: x', '', '');
  const [, response] = (await once(app.server, 'request')) as [IncomingMessage, ServerResponse];
  const closed = front.proxy.close(AbortSignal.timeout(5_000));
  response.end('done');
  await closed;
  t.match(await slow.until('done'), /Connection: close[\s\S]*done/);
  const second = await startFrontFor(t, app);
  const stuck = rawClient(t, second.port).send('GET /stuck HTTP/1.1', 'Host: x', '', '');
  await once(app.server, 'request');
  await second.proxy.close(AbortSignal.timeout(50));
  await stuck.ended;
  t.equal(stuck.text, '');
});
