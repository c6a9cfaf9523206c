import t from 'tap';
import { parseNetworks } from '../../../gateway/config/networks.ts';
import { Forwarded } from '../../../gateway/proxy/request-head.ts';
import { hold, rawClient, startApp, startFrontFor } from './harness.ts';
import { proxyHeader, typeLengthValue } from './proxy-headers.ts';

const HERE = parseNetworks(['127.0.0.0/8']);
const TLS = typeLengthValue(0x20, Buffer.from([1, 0, 0, 0, 0]));
const REQUEST = 'GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n';

/** An app that answers with who it was told is asking. */
const startMirror = (t: { teardown(fn: () => unknown): void }) =>
  startApp(t, ({ headers }, res) => {
    const said = ['for', 'proto', 'host'].map((name) => headers[`x-forwarded-${name}`]);
    res.end(`${said.join(' ')};`);
  });

t.test('the client is who the header tells, on every request of the connection', async (t) => {
  const front = await startFrontFor(t, await startMirror(t), { proxiedFrom: HERE });
  const client = rawClient(t, front.port);
  client.socket.write(Buffer.concat([proxyHeader({ added: TLS }), Buffer.from(REQUEST + REQUEST)]));
  const text = await client.until(/;.*;/s);
  t.equal(text.match(/192\.0\.2\.7 https shop\.example;/g)?.length, 2);
});

t.test('the header may come byte by byte, and the request with it or later', async (t) => {
  const front = await startFrontFor(t, await startMirror(t), { proxiedFrom: HERE });
  const bytes = Buffer.concat([proxyHeader(), Buffer.from(REQUEST)]);
  const client = rawClient(t, front.port);
  for (const byte of bytes) {
    client.socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.match(await client.until(';'), '192.0.2.7 http shop.example;');
  const length = proxyHeader().length;
  for (const cut of [1, 12, 16, length - 1, length, length + 1, bytes.length - 1]) {
    const other = rawClient(t, front.port);
    other.socket.write(bytes.subarray(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 5));
    other.socket.write(bytes.subarray(cut));
    t.match(await other.until(';'), '192.0.2.7 http shop.example;', `cut at ${cut}`);
  }
});

t.test('a body, and a request that is held, come behind the header as ever', async (t) => {
  const bodies: string[] = [];
  const app = await startApp(t, (req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += chunk;
    });
    req.on('end', () => {
      bodies.push(`${req.headers['x-forwarded-for']} ${body.length}`);
      res.end('ok;');
    });
  });
  const front = await startFrontFor(t, app, { proxiedFrom: HERE });
  await hold(front);
  const body = 'x'.repeat(300_000);
  const client = rawClient(t, front.port);
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`;
  client.socket.write(Buffer.concat([proxyHeader(), Buffer.from(head + body)]));
  while (front.gates.snapshot('app').heldRequests === 0)
    await new Promise((resolve) => setImmediate(resolve));
  await front.gates.release('app', { host: 'a', url: app.url });
  await client.until('ok;');
  t.same(bodies, ['192.0.2.7 300000']);
});

t.test('a sender that speaks for itself, or knows no client, is the client', async (t) => {
  const front = await startFrontFor(t, await startMirror(t), { proxiedFrom: HERE });
  const unknown = proxyHeader({ family: 0, rest: Buffer.alloc(0) });
  for (const header of [proxyHeader({ command: 0x20 }), unknown]) {
    const client = rawClient(t, front.port);
    client.socket.write(Buffer.concat([header, Buffer.from(REQUEST)]));
    t.match(await client.until(';'), '127.0.0.1 http shop.example;');
  }
});

t.test('what a trusted proxy says is added to', async (t) => {
  const options = { proxiedFrom: HERE, forwarded: Forwarded.extended };
  const front = await startFrontFor(t, await startMirror(t), options);
  const client = rawClient(t, front.port);
  client.socket.write(Buffer.concat([proxyHeader(), Buffer.from(REQUEST)]));
  t.match(await client.until(';'), '9.9.9.9, 192.0.2.7 http shop.example;');
});

t.test('whoever must send a header and does not is told so, and closed', async (t) => {
  const app = await startMirror(t);
  const front = await startFrontFor(t, app, { proxiedFrom: HERE });
  const texts = [REQUEST, `PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n${REQUEST}`];
  for (const text of texts) {
    const client = rawClient(t, front.port);
    client.socket.write(text);
    await client.ended;
    t.match(client.text, /^HTTP\/1\.1 400 .*"code":"PROXY_HEADER_INVALID"/s);
  }
  t.same(front.lines, [], 'no request was seen');
});

t.test('a header from anybody else is no request', async (t) => {
  const elsewhere = parseNetworks(['192.0.2.1', '10.0.0.0/8', '::1']);
  for (const proxiedFrom of [elsewhere, undefined]) {
    const front = await startFrontFor(t, await startMirror(t), { proxiedFrom });
    const client = rawClient(t, front.port);
    client.socket.write(Buffer.concat([proxyHeader(), Buffer.from(REQUEST)]));
    t.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 400 /);
    const direct = rawClient(t, front.port);
    direct.socket.write(REQUEST);
    t.match(await direct.until(';'), '127.0.0.1 http shop.example;');
  }
});

t.test('whoever says nothing is let go: one that leaves at once, and one that stays too long', async (t) => {
  const front = await startFrontFor(t, await startMirror(t), { proxiedFrom: HERE });
  const leaving = rawClient(t, front.port);
  leaving.socket.end();
  await leaving.ended;
  t.equal(leaving.text, '');
  const silent = rawClient(t, front.port);
  silent.socket.write(proxyHeader().subarray(0, 20));
  const started = performance.now();
  await silent.ended;
  t.match(silent.text, /"code":"PROXY_HEADER_INVALID"/);
  t.ok(performance.now() - started > 4_000);
});

t.test('a proxy that closes does not wait for headers', async (t) => {
  const front = await startFrontFor(t, await startMirror(t), { proxiedFrom: HERE });
  const client = rawClient(t, front.port);
  await new Promise((resolve) => client.socket.once('connect', resolve));
  client.socket.write(proxyHeader().subarray(0, 20));
  await front.proxy.close(AbortSignal.abort());
  await client.ended;
});

t.test('a proxy that the app is behind anyway is believed word by word', async (t) => {
  let seen: string[] = [];
  const app = await startApp(t, (req, res) => {
    seen = req.rawHeaders;
    res.end('ok;');
  });
  const front = await startFrontFor(t, app, { forwarded: Forwarded.kept });
  const client = rawClient(t, front.port);
  client.socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=1\r\nx-forwarded-for: 1\r\nX-Forwarded-For: 2\r\n\r\n',
  );
  await client.until('ok;');
  const told = seen.slice(4).join(' ');
  t.equal(told, 'Forwarded for=1 x-forwarded-for 1 X-Forwarded-For 2');
});
