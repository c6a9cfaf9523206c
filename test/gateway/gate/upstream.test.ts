import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Upstream } from '../../../gateway/gate/upstream.ts';
import { eventually, startApp, startFrontFor } from '../proxy/harness.ts';

const TIMEOUTS = { connectTimeoutMs: 2_000, headTimeoutMs: 20_000, bodyTimeoutMs: 20_000 };
/** gunicorn closes a connection that has been idle for two seconds. */
const SOON_CLOSED_MS = 1_800;

t.test('a connection that the app may close in any moment is not used again', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  app.server.keepAliveTimeout = 0; // Says nothing of how long it waits.
  const used = new Set<Socket>();
  app.server.on('request', ({ socket }) => used.add(socket));
  const front = await startFrontFor(t, app);
  const post = () => fetch(`http://127.0.0.1:${front.port}/`, { method: 'POST' });
  t.equal((await post()).status, 200);
  t.equal((await post()).status, 200);
  t.equal(used.size, 1, 'soon after it is');
  await sleep(SOON_CLOSED_MS);
  t.equal((await post()).status, 200);
  t.equal(used.size, 2);
});

t.test('connections opened ahead that nobody took are closed again', async (t) => {
  const app = await startApp(t, (_req, res) => res.end('ok'));
  const open = new Set<Socket>();
  let seen = 0;
  app.server.on('connection', (socket: Socket) => {
    seen += 1;
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  const upstream = new Upstream(app.url, TIMEOUTS);
  t.teardown(() => upstream.close());
  upstream.warm(3);
  await eventually(() => open.size === 3);
  upstream.cool();
  await eventually(() => open.size === 0);
  upstream.warm(3);
  upstream.cool(); // While they are on their way.
  await eventually(() => seen === 6 && open.size === 0);
});
