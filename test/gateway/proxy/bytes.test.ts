import { once } from 'node:events';
import t from 'tap';
import { eventually, rawClient, startApp, startFrontFor } from './harness.ts';

/** What a stranger may send: each of these is a way two parsers have disagreed before. */
t.test('what is not plainly one request is refused before the app sees it', async (t) => {
  let requests = 0;
  const app = await startApp(t, (_req, res) => {
    requests += 1;
    res.end('ok');
  });
  const front = await startFrontFor(t, app);
  const cases: [string, string[], number][] = [
    [
      'both lengths',
      ['POST / HTTP/1.1', 'Host: x', 'Content-Length: 5', 'Transfer-Encoding: chunked', '', '0', '', ''],
      400,
    ],
    [
      'two lengths',
      ['POST / HTTP/1.1', 'Host: x', 'Content-Length: 5', 'Content-Length: 6', '', 'hello'],
      400,
    ],
    [
      'a coding after chunked',
      ['POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked, x', '', '0', '', ''],
      400,
    ],
    ['a space before the colon', ['GET / HTTP/1.1', 'Host: x', 'X-A : 1', '', ''], 400],
    ['a folded header', ['GET / HTTP/1.1', 'Host: x', 'X-A: 1', ' 2', '', ''], 400],
    ['a bare CR', ['GET / HTTP/1.1', 'Host: x', 'X-A: 1\rX-B: 2', '', ''], 400],
    ['no host', ['GET / HTTP/1.1', '', ''], 400],
    ['two hosts', ['GET / HTTP/1.1', 'Host: x', 'Host: y', '', ''], 400],
    ['an oversized head', ['GET / HTTP/1.1', 'Host: x', `X-A: ${'a'.repeat(20_000)}`, '', ''], 431],
    ['an asterisk', ['OPTIONS * HTTP/1.1', 'Host: x', '', ''], 400],
    [
      'an upgrade with a body',
      ['POST / HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: x', 'Content-Length: 2', '', 'ab'],
      400,
    ],
  ];
  for (const [name, lines, status] of cases) {
    const client = rawClient(t, front.port).send(...lines);
    t.match(await client.until(/\r\n\r\n/), new RegExp(`^HTTP/1\\.1 ${status} `), name);
  }
  t.equal(requests, 0);
});

t.test('a bad chunk after a good head cuts both sides off', async (t) => {
  const app = await startApp(t, (req) => req.resume());
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port);
  client.send('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked', '', '2', 'ab', '');
  const [req] = await once(app.server, 'request');
  client.send('zz', '');
  const [error] = await once(req, 'error');
  t.equal(error.code, 'ECONNRESET');
  await client.ended;
  t.notMatch(client.text, / 200 /);
  t.equal(front.gates.snapshot('app').inFlight, 0);
});

t.test('Connection cannot make the framing or the host go missing', async (t) => {
  const app = await startApp(t, (req, res) => {
    req.on('data', (chunk) => res.write(`${req.headers.host} ${chunk}`)).on('end', () => res.end());
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send(
    'POST / HTTP/1.1',
    'Host: x',
    'Connection: content-length, host',
    'Content-Length: 4',
    '',
    'data',
  );
  t.match(await client.until('data'), 'x data');
});

t.test('an absolute-form target overrules the Host header', async (t) => {
  const app = await startApp(t, (req, res) => res.end(`${req.headers.host} ${req.url}`));
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send('GET http://shop.example/a?b HTTP/1.1', 'Host: other', '', '');
  t.match(await client.until('/a?b'), 'shop.example /a?b');
});

t.test('an HTTP/1.0 client gets a body that ends with its connection', async (t) => {
  const app = await startApp(t, (_req, res) => {
    res.writeEarlyHints({ link: '</a.css>; rel=preload' });
    res.write('one ');
    res.end('two');
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send('GET / HTTP/1.0', '', '');
  await client.ended;
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
  t.notMatch(client.text, /chunked/i);
  t.match(client.text, /\r\n\r\none two$/);
});

t.test('pipelined requests are answered in order, however fast the app is with each', async (t) => {
  const app = await startApp(t, (req, res) => {
    setTimeout(() => res.end(`answer${req.url}`), 30 - 10 * Number(req.url?.slice(1)));
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port);
  for (const path of ['/0', '/1', '/2']) client.send(`GET ${path} HTTP/1.1`, 'Host: x', '', '');
  const text = await client.until(/answer\/2/);
  t.strictSame(text.match(/answer\/\d/g), ['answer/0', 'answer/1', 'answer/2']);
});

t.test('a client that leaves in the middle of a pipeline leaves nothing in flight', async (t) => {
  const app = await startApp(t, (req, res) => {
    if (req.url !== '/0') res.end(Buffer.alloc(1 << 20));
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port);
  for (const path of ['/0', '/1', '/2'])
    client.send(`POST ${path} HTTP/1.1`, 'Host: x', 'Content-Length: 1', '', 'x');
  await eventually(() => front.gates.snapshot('app').inFlight === 3);
  t.equal(front.gates.snapshot('app').inFlight, 3);
  client.socket.resetAndDestroy();
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
  t.equal(front.gates.snapshot('app').inFlight, 0);
});
