import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import t from 'tap';
import WebSocket, { WebSocketServer } from 'ws';
import { Upgrades } from '../../../gateway/gate/upgrades.ts';
import {
  type App,
  eventually,
  type Front,
  hold,
  rawClient,
  type Scope,
  startApp,
  startFrontFor,
} from './harness.ts';

const UPGRADE = ['GET /chat HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: echo', '', ''];
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';
const upgrades = Upgrades.close;

/** An app that upgrades, and answers plain requests when it is told to. */
async function startUpgrading(
  t: Scope,
  onSocket: (socket: Socket) => void,
): Promise<App & { readonly waiting: ServerResponse[] }> {
  const waiting: ServerResponse[] = [];
  const app = await startApp(t, (_req, res) => waiting.push(res));
  app.server.on('upgrade', (_req, socket: Socket) => {
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    onSocket(socket);
  });
  return { ...app, waiting };
}

const get = (path: string) => [`GET ${path} HTTP/1.1`, 'Host: x', '', ''];

const echo = (socket: Socket) => {
  socket.write(SWITCHING);
  socket.on('data', (data) => socket.write(`heard ${data} `));
  socket.on('end', () => socket.end('bye'));
};
const inFlight = (front: Front) => front.gates.snapshot('app').inFlight;

t.test('a gate that closes lets both ends of an upgraded connection have their last words', async (t) => {
  const app = await startUpgrading(t, echo);
  const front = await startFrontFor(t, app, { upgrades });
  const clients = [0, 1, 2].map((i) => rawClient(t, front.port).send(`${UPGRADE.join('\r\n')}${i}`));
  for (const [i, client] of clients.entries()) await client.until(`heard ${i}`);
  t.match(await hold(front), { drainedRequests: 3 });
  t.equal(inFlight(front), 0);
  for (const [i, client] of clients.entries()) {
    await client.ended;
    t.match(client.text, new RegExp(`\\r\\n\\r\\nheard ${i} bye$`));
  }
  t.same(front.lines, Array(3).fill('finished app GET 101 target'));
});

t.test('who connects anew waits for the release', async (t) => {
  const app = await startApp(t, (_req, res) => res.end());
  const server = new WebSocketServer({ server: app.server });
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
  const front = await startFrontFor(t, app, { upgrades });
  const url = `ws://127.0.0.1:${front.port}/chat`;
  const before = new WebSocket(url);
  await once(before, 'open');
  const closed = once(before, 'close');
  await hold(front);
  t.strictSame((await closed)[0], 1006, 'the browser knows that nobody has said goodbye to it');
  const after = new WebSocket(url);
  t.teardown(() => after.terminate());
  await eventually(() => front.gates.snapshot('app').heldRequests === 1);
  await front.gates.release('app', { host: 'b', url: app.url });
  await once(after, 'open');
  after.send('again');
  t.equal(`${(await once(after, 'message'))[0]}`, 'echo again');
});

t.test('they are closed last: a hold that requests keep from succeeding costs no connection', async (t) => {
  const app = await startUpgrading(t, echo);
  const front = await startFrontFor(t, app, { upgrades });
  const open = rawClient(t, front.port).send(...UPGRADE);
  await open.until('101');
  const request = rawClient(t, front.port).send(...get('/slow'));
  await eventually(() => app.waiting.length === 1);
  await t.rejects(hold(front, 50), {
    code: 'DRAIN_TIMEOUT',
    message: /^1 requests and 1 upgraded connections/,
  });
  await open.send('on').until('heard on');
  const held = hold(front);
  app.waiting[0]?.end('at last');
  await request.until('at last');
  await held;
  await open.ended;
});

t.test('what the app upgrades while the gate drains is closed at once', async (t) => {
  const sockets: Socket[] = [];
  const app = await startUpgrading(t, (socket) => sockets.push(socket));
  const front = await startFrontFor(t, app, { upgrades });
  const client = rawClient(t, front.port).send(...UPGRADE);
  await eventually(() => sockets.length === 1);
  const held = hold(front);
  for (const socket of sockets) echo(socket);
  await held;
  await client.ended;
  t.match(client.text, /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nbye$/);
});

t.test('an app or a client that does not let go is cut off', async (t) => {
  const app = await startUpgrading(t, (socket) => {
    socket.write(SWITCHING);
    socket.on('data', (data) => {
      // Far more than the buffers on the way take, to a client that does not read.
      if (`${data}` === 'much') socket.write(Buffer.alloc(64 << 20));
    });
  });
  const front = await startFrontFor(t, app, { upgrades });
  const silent = rawClient(t, front.port).send(...UPGRADE);
  await silent.until('101');
  const deaf = rawClient(t, front.port).send(...UPGRADE);
  await deaf.until('101');
  deaf.socket.pause();
  deaf.send('much');
  await hold(front);
  t.equal(inFlight(front), 0);
  await silent.ended;
});
