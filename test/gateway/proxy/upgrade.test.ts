import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import t from 'tap';
import WebSocket, { WebSocketServer } from 'ws';
import { type App, eventually, hold, rawClient, type Scope, startApp, startFrontFor } from './harness.ts';

const UPGRADE = ['GET /chat HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: echo', '', ''];
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

async function startEcho(t: Scope, onSocket: (socket: Socket, req: IncomingMessage) => void): Promise<App> {
  const app = await startApp(t, (_req, res) => res.end('plain'));
  app.server.on('upgrade', (req, socket: Socket) => {
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    onSocket(socket, req);
  });
  return app;
}

t.test('a WebSocket works through the proxy, and counts as in flight until it is closed', async (t) => {
  const app = await startApp(t, (_req, res) => res.end());
  const server = new WebSocketServer({ server: app.server });
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
  const front = await startFrontFor(t, app);
  const client = new WebSocket(`ws://127.0.0.1:${front.port}/chat`);
  await once(client, 'open');
  client.send('one');
  const [data] = await once(client, 'message');
  t.equal(`${data}`, 'echo one');
  t.equal(front.gates.snapshot('app').inFlight, 1);
  client.close();
  await once(client, 'close');
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
  t.strictSame(front.lines, ['finished app GET 101 target']);
});

t.test('either end may close its half first and still receive', async (t) => {
  const app = await startEcho(t, (socket, req) => {
    socket.write(SWITCHING);
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    if (req.headers['x-first'] === 'app') socket.end('bye');
    socket.on('end', () => {
      if (req.headers['x-first'] === 'app') app.server.emit('said', said);
      else socket.end(`heard ${said}`);
    });
  });
  const front = await startFrontFor(t, app);

  const clientFirst = rawClient(t, front.port).send(...UPGRADE);
  await clientFirst.until('101');
  clientFirst.socket.end('hello');
  await clientFirst.until('heard hello');

  const appFirst = rawClient(t, front.port).send(...UPGRADE.slice(0, -2), 'X-First: app', '', '');
  await appFirst.until('bye');
  await appFirst.ended;
  const said = once(app.server, 'said');
  appFirst.socket.end('still here');
  t.strictSame(await said, ['still here']);
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
});

t.test('bytes sent right behind the request arrive after the upgrade', async (t) => {
  const app = await startEcho(t, (socket) => {
    socket.write(SWITCHING);
    socket.pipe(socket);
  });
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send(`${UPGRADE.join('\r\n')}early`);
  t.match(
    await client.until('early'),
    /^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*Upgrade: echo\r\n\r\nearly$/,
  );
});

t.test('an error at either end takes the other with it', async (t) => {
  const sockets: Socket[] = [];
  const app = await startEcho(t, (socket) => {
    sockets.push(socket);
    socket.resume().write(SWITCHING);
  });
  const front = await startFrontFor(t, app);
  const first = rawClient(t, front.port).send(...UPGRADE);
  await first.until('101');
  sockets[0]?.resetAndDestroy();
  await first.ended;
  const second = rawClient(t, front.port).send(...UPGRADE);
  await second.until('101');
  second.socket.resetAndDestroy();
  await eventually(() => sockets[1]?.destroyed === true);
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
});

t.test('an app that does not upgrade answers as to any request', async (t) => {
  const app = await startApp(t, (_req, res) => res.writeHead(403).end('not here'));
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send(...UPGRADE);
  t.match(await client.until('not here'), /^HTTP\/1\.1 403 Forbidden[\s\S]*Connection: close/);
  await client.ended;
  app.server.close();
  app.server.closeAllConnections();
  const refused = rawClient(t, front.port).send(...UPGRADE);
  t.match(await refused.until('UPSTREAM_UNREACHABLE'), /^HTTP\/1\.1 502/);
  t.equal(front.gates.snapshot('app').inFlight, 0);
});

t.test('a client that leaves before the app has said 101 takes the request with it', async (t) => {
  const app = await startEcho(t, () => {});
  const front = await startFrontFor(t, app);
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const client = rawClient(t, front.port).send(...UPGRADE);
    const [, socket] = await once(app.server, 'upgrade');
    client.socket[leave]();
    await eventually(() => socket.destroyed || socket.readableEnded || socket.readableLength === 0);
    await eventually(() => front.gates.snapshot('app').inFlight === 0);
  }
  t.same(front.lines, Array(2).fill('finished app GET 499 target'));
});

t.test(
  'an upgrade waits at a held gate, its client may leave, and an open one keeps the gate from draining',
  async (t) => {
    const app = await startEcho(t, (socket) => {
      socket.write(SWITCHING);
      socket.pipe(socket);
    });
    const front = await startFrontFor(t, app, { limits: { releaseConcurrency: 1 } });
    const held = () => front.gates.snapshot('app').heldRequests;
    await hold(front);
    const clients = [0, 1, 2].map(() => rawClient(t, front.port).send(`${UPGRADE.join('\r\n')}hi`));
    await eventually(() => held() === 3);
    const leaver = rawClient(t, front.port).send(...UPGRADE);
    await eventually(() => held() === 4);
    leaver.socket.end();
    await eventually(() => held() === 3);
    await front.gates.release('app', { host: 'b', url: app.url });
    // Open ones take no place of the paced release: the third gets through while two are open.
    for (const client of clients) t.match(await client.until(/\r\n\r\nhi$/), /^HTTP\/1\.1 101/);
    await t.rejects(hold(front, 50), {
      code: 'DRAIN_TIMEOUT',
      message: /^0 requests and 3 upgraded connections/,
    });
    clients[0]?.send('on');
    await clients[0]?.until(/hion$/);
  },
);

t.test('closing the proxy destroys upgraded connections', async (t) => {
  const app = await startEcho(t, (socket) => socket.write(SWITCHING));
  const front = await startFrontFor(t, app);
  const client = rawClient(t, front.port).send(...UPGRADE);
  await client.until('101');
  await front.proxy.close(AbortSignal.timeout(50));
  await client.ended;
  await eventually(() => front.gates.snapshot('app').inFlight === 0);
});
