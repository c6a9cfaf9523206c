import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import t from 'tap';
import WebSocket, { WebSocketServer } from 'ws';
import { createAuthority, createLeaf } from '../../migrator/pki/certificate.ts';
import { Role } from '../../migrator/pki/role.ts';
import { editions, eventually } from './haproxy.ts';
import { hold, open, startApp, USER } from './scene.ts';

const found = await editions();
const skip = typeof found === 'string' ? found : false;

async function createPem(): Promise<string> {
  const authority = await createAuthority({ days: 1 });
  const options = { name: 'shop.example', role: Role.agent, alternativeNames: [], days: 1 };
  const { certificate, key } = await createLeaf(authority, options);
  return certificate + key;
}

async function get(session: ClientHttp2Session, path: string): Promise<string> {
  const stream = session.request({ ':path': path, ':authority': 'shop.example' });
  let body = '';
  for await (const chunk of stream.setEncoding('utf8')) body += chunk;
  return body;
}

for (const edition of typeof found === 'string' ? [] : found) {
  for (const proxyProtocol of [false, true]) {
    const how = proxyProtocol ? 'the PROXY protocol' : 'headers';
    t.test(
      `${edition.name}, ${how}: one connection by TLS and HTTP/2 lives through a move`,
      { skip },
      async (t) => {
        const scene = await open(t, edition, { proxyProtocol, pem: await createPem() });
        const startMirror = (name: string) =>
          startApp(t, name, ({ headers }, response) => {
            const said = ['for', 'proto', 'host'].map((what) => headers[`x-forwarded-${what}`]);
            response.end(`${name}: ${said.join(' ')}`);
          });
        const [a, b] = [await startMirror('a'), await startMirror('b')];
        const session = connect('https://shop.example', {
          createConnection: () =>
            tlsConnect({
              socket: netConnect({ host: '127.0.0.1', port: scene.usersPort, localAddress: USER }),
              ALPNProtocols: ['h2'],
              rejectUnauthorized: false,
            }),
        });
        t.teardown(() => session.destroy());
        const client = `${USER} https shop.example`;
        scene.gates.setTarget('shop', a.target);
        t.equal(await get(session, '/by-the-gate'), `a: ${client}`);
        await scene.direct();
        t.equal(await get(session, '/before'), `a: ${client}`);
        await hold(scene.gate);
        const held = ['/1', '/2', '/3'].map((path) => get(session, path));
        await eventually('them to be held', () => scene.gates.snapshot('shop').heldRequests === 3);
        await scene.gate.release('shop', b.target);
        t.same(await Promise.all(held), Array(3).fill(`b: ${client}`));
        await scene.direct();
        t.equal(await get(session, '/after'), `b: ${client}`);
        t.notOk(session.closed);
      },
    );
  }

  t.test(
    `${edition.name}: a WebSocket that is open is waited for, and a new one waits`,
    { skip },
    async (t) => {
      const scene = await open(t, edition);
      const startEcho = async (name: string) => {
        const app = await startApp(t, name);
        const server = new WebSocketServer({ server: app.server });
        server.on('connection', (socket) => socket.on('message', (data) => socket.send(`${name}: ${data}`)));
        return app;
      };
      const [a, b] = [await startEcho('a'), await startEcho('b')];
      const say = async (socket: WebSocket, text: string) => {
        socket.send(text);
        const [data] = await once(socket, 'message');
        return `${data}`;
      };
      const join = () => new WebSocket(`ws://127.0.0.1:${scene.usersPort}/chat`);
      scene.gates.setTarget('shop', a.target);
      await scene.direct();
      const early = join();
      await once(early, 'open');
      t.equal(await say(early, 'one'), 'a: one');
      await t.rejects(hold(scene.gate, 200), { code: 'DRAIN_TIMEOUT' });
      t.equal(await say(early, 'two'), 'a: two', 'nothing has happened to it');
      await scene.direct();
      early.close();
      await once(early, 'close');
      await hold(scene.gate);
      const late = join();
      t.teardown(() => late.terminate());
      const opened = once(late, 'open');
      await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
      await scene.gate.release('shop', b.target);
      await opened;
      t.equal(await say(late, 'three'), 'b: three');
      await scene.direct();
      t.equal(await say(late, 'four'), 'b: four', 'and stays on its way while others go directly');
    },
  );
}
