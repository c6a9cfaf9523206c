import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Gates } from '../../gateway/gate/gates.ts';
import { createProxy } from '../../gateway/proxy/proxy.ts';
import { Forwarded } from '../../gateway/proxy/request-head.ts';
import { haproxyConfig } from '../../haproxy/config-text.ts';
import { Front } from '../../haproxy/front.ts';
import { HaproxyGate } from '../../haproxy/gate.ts';
import { getMap } from '../../haproxy/maps.ts';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import { showServersConn } from '../../haproxy/servers.ts';
import { StatKind, showStat } from '../../haproxy/stat.ts';
import type { Target } from '../../migrator/gate.ts';
import { type Edition, editions, eventually, Haproxy } from './haproxy.ts';

const found = await editions();
const skip = typeof found === 'string' ? found : false;
const never = new AbortController().signal;
const LIMITS = {
  maxHeldRequests: 1_000,
  maxHeldBytes: 10_000_000,
  maxHoldMs: 30_000,
  releaseConcurrency: 16,
  drainTimeoutMs: 5_000,
};

interface App {
  readonly target: Target;
  /** What came, in order. */
  readonly visits: IncomingMessage[];
  readonly connections: () => number;
}

async function startApp(
  t: Test,
  name: string,
  onVisit = (_: IncomingMessage, response: ServerResponse): unknown => response.end(name),
): Promise<App> {
  const visits: IncomingMessage[] = [];
  const sockets = new Set<unknown>();
  const server = createServer((request, response) => {
    visits.push(request);
    onVisit(request, response);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { target: { host: name, url }, visits, connections: () => sockets.size };
}

interface Scene {
  readonly haproxys: readonly Haproxy[];
  readonly gates: Gates;
  readonly gate: HaproxyGate;
  /** A user's request through a HAProxy; settles with status and body. */
  visit(path: string, by?: Haproxy): Promise<string>;
  /** Settles when every HAProxy sends requests to the app itself. */
  direct(): Promise<void>;
}

/** HAProxys in front of the real gate and proxy, for one app. */
async function open(
  t: Test,
  edition: Edition,
  { count = 1, timeoutMs }: { count?: number; timeoutMs?: number } = {},
) {
  const haproxys = await Promise.all(Array.from({ length: count }, () => Haproxy.create(edition)));
  const gates = new Gates(
    { shop: { limits: LIMITS }, blog: { limits: LIMITS } },
    { connectTimeoutMs: 2_000, headTimeoutMs: 30_000, bodyTimeoutMs: 30_000 },
  );
  const proxy = createProxy({
    routes: [{ app: 'shop' }],
    gates,
    observer: { requestHeld() {}, holdEnded() {}, requestFinished() {}, requestRejected() {} },
    log: pino({ level: 'silent' }),
    forwarded: Forwarded.kept,
    timeouts: { headTimeoutMs: 10_000, keepAliveTimeoutMs: 60_000 },
  });
  const { port } = await proxy.listen({ host: '127.0.0.1', port: 0 });
  const wanted = (app: string) => {
    const { state, target } = gates.snapshot(app);
    if (state !== 'open' || target === undefined) return undefined;
    return { address: '127.0.0.1', port: Number(new URL(target.url).port) };
  };
  const fronts = haproxys.map(
    ({ masterSocket, map }) =>
      new Front({ address: { path: masterSocket }, map, apps: ['shop', 'blog'], wanted, timeoutMs }),
  );
  const gate = new HaproxyGate({
    gate: gates,
    openTarget: (app) => (gates.snapshot(app).state === 'open' ? gates.snapshot(app).target : undefined),
    fronts,
    log: pino({ level: 'silent' }),
  });
  t.teardown(async () => {
    await gate.close();
    await Promise.all(haproxys.map((haproxy) => haproxy.stop()));
    await proxy.close(AbortSignal.abort());
    await gates.close();
  });
  for (const haproxy of haproxys) {
    await haproxy.begin(
      haproxyConfig({
        bind: `unix@${haproxy.socket}.http`,
        gate: `127.0.0.1:${port}`,
        map: haproxy.map,
        statsSocket: haproxy.socket,
        apps: [{ name: 'shop', matches: [{}] }],
        timeouts: {
          connectMs: 1_000,
          serverMs: 60_000,
          clientMs: 60_000,
          requestHeadMs: 10_000,
          keepAliveMs: 10_000,
        },
      }),
    );
  }
  gate.start();
  const [first] = haproxys;
  const scene: Scene = {
    haproxys,
    gates,
    gate,
    async visit(path, by = first) {
      const sent = request({
        socketPath: `${by?.socket}.http`,
        path,
        agent: false,
        headers: { host: 'shop.example' },
      });
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      let body = '';
      for await (const chunk of response.setEncoding('utf8')) body += chunk;
      return `${response.statusCode} ${body}`;
    },
    async direct() {
      for (const haproxy of haproxys)
        await eventually('HAProxy to go the direct way', () => isDirect(haproxy));
    },
  };
  return scene;
}

async function isDirect({ masterSocket, map }: Haproxy): Promise<boolean> {
  const runtime = new OneShotRuntime({ address: { path: masterSocket } });
  return (await runtime.ask([getMap(map, 'shop')], never))[0] === 'direct';
}

async function gateTotal({ masterSocket }: Haproxy): Promise<number> {
  const runtime = new OneShotRuntime({ address: { path: masterSocket } });
  const [[stat]] = await runtime.ask(
    [showStat({ proxy: 'holdfast_gate', kinds: [StatKind.backend] })],
    never,
  );
  return stat?.totalSessions ?? Number.NaN;
}

const hold = (gate: HaproxyGate, drainTimeoutMs = 5_000) =>
  gate.hold('shop', { drainTimeoutMs, signal: never });

for (const edition of typeof found === 'string' ? [] : found) {
  t.test(edition.name, { skip, timeout: 120_000 }, async (t) => {
    t.test('a move: held, drained, let go elsewhere, and direct again', async (t) => {
      const scene = await open(t, edition);
      const [haproxy] = scene.haproxys as [Haproxy];
      const a = await startApp(t, 'a');
      const b = await startApp(t, 'b');
      t.match(await scene.visit('/nowhere'), /^503 /, 'before anything is known of it');
      scene.gates.setTarget('shop', a.target);
      t.equal(await scene.visit('/early'), '200 a', 'by way of the gate until its health is known');
      await scene.direct();
      const before = await gateTotal(haproxy);
      for (let n = 0; n < 20; n += 1) t.equal(await scene.visit(`/${n}`), '200 a');
      t.equal(await gateTotal(haproxy), before, 'nothing of Holdfast is in the way');

      const report = await hold(scene.gate);
      t.match(report, { drainedRequests: 0, passedRequests: Number });
      t.ok(report.passedRequests >= 20, `${report.passedRequests} went to the app`);
      await eventually('no connection to be left at the source', () => a.connections() === 0);
      const runtime = new OneShotRuntime({ address: { path: haproxy.socket } });
      t.match(await runtime.ask([showServersConn('holdfast_app_shop')], never), [
        [{ server: 'app', used: 0, idle: 0 }],
      ]);
      const held = [];
      for (let n = 0; n < 10; n += 1) {
        held.push(scene.visit(`/held/${n}`));
        await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === n + 1);
      }
      const came = a.visits.length;
      t.match(await scene.gate.release('shop', b.target), { heldRequests: 10 });
      t.same(
        await Promise.all(held),
        Array.from({ length: 10 }, () => '200 b'),
      );
      t.same(
        b.visits.map(({ url }) => url),
        Array.from({ length: 10 }, (_, n) => `/held/${n}`),
        'in order',
      );
      await scene.direct();
      t.equal(await scene.visit('/after'), '200 b');
      t.equal(a.visits.length, came, 'and nothing more came to the source');
    });

    t.test('client, scheme and host are the same on both ways', async (t) => {
      const scene = await open(t, edition);
      const app = await startApp(t, 'app');
      scene.gates.setTarget('shop', app.target);
      await scene.visit('/gate');
      await scene.direct();
      await scene.visit('/direct');
      const [byGate, direct] = app.visits.map(({ headers }) => {
        const {
          host,
          'x-forwarded-for': client,
          'x-forwarded-proto': proto,
          'x-forwarded-host': of,
        } = headers;
        return { host, client, proto, of };
      });
      t.same(byGate, direct);
      t.match(direct, { host: 'shop.example', proto: 'http', of: 'shop.example' });
    });

    t.test(
      'requests in flight are waited for, and a hold that cannot wait leaves all as it was',
      async (t) => {
        const scene = await open(t, edition);
        const [haproxy] = scene.haproxys as [Haproxy];
        const waiting: ServerResponse[] = [];
        const app = await startApp(t, 'app', (_, response) => waiting.push(response));
        scene.gates.setTarget('shop', app.target);
        await scene.direct();
        const slow = scene.visit('/slow');
        await eventually('the request to be at the app', () => waiting.length === 1);
        await t.rejects(hold(scene.gate, 60), { code: 'DRAIN_TIMEOUT', message: /1 requests/ });
        t.equal(scene.gates.snapshot('shop').state, 'open');
        await scene.direct();
        const holding = hold(scene.gate);
        await eventually('HAProxy to go by the gate', async () => !(await isDirect(haproxy)));
        const held = scene.visit('/held');
        await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
        waiting[0]?.end('slow');
        t.equal(await slow, '200 slow');
        // HAProxy counts it unless it was over before that: the hold is what waits for it, not the count.
        t.match(await holding, { drainedRequests: Number });
        const b = await startApp(t, 'b');
        await scene.gate.release('shop', b.target);
        t.equal(await held, '200 b');
      },
    );

    t.test('reloaded while it holds and while it does not, no request fails or goes astray', async (t) => {
      const scene = await open(t, edition);
      const [haproxy] = scene.haproxys as [Haproxy];
      const a = await startApp(t, 'a');
      const b = await startApp(t, 'b');
      scene.gates.setTarget('shop', a.target);
      await scene.direct();
      await haproxy.reload();
      t.equal(await scene.visit('/reloaded'), '200 a');
      await scene.direct();
      await hold(scene.gate);
      const came = a.visits.length;
      await haproxy.reload();
      const held = scene.visit('/held');
      await eventually('it to be held', () => scene.gates.snapshot('shop').heldRequests === 1);
      await scene.gate.release('shop', b.target);
      t.equal(await held, '200 b');
      await haproxy.kill();
      await haproxy.run();
      t.equal(await scene.visit('/restarted'), '200 b');
      await scene.direct();
      t.equal(a.visits.length, came);
    });

    t.test('requests of the worker that is leaving are waited for', async (t) => {
      const scene = await open(t, edition);
      const [haproxy] = scene.haproxys as [Haproxy];
      const waiting: ServerResponse[] = [];
      const app = await startApp(t, 'app', (_, response) => waiting.push(response));
      scene.gates.setTarget('shop', app.target);
      await scene.direct();
      const slow = scene.visit('/slow');
      await eventually('the request to be at the app', () => waiting.length === 1);
      await haproxy.reload();
      await t.rejects(hold(scene.gate, 60), { code: 'DRAIN_TIMEOUT' });
      waiting[0]?.end('slow');
      t.equal(await slow, '200 slow');
      t.match(await hold(scene.gate), { drainedRequests: Number });
    });

    t.test('an app that its configuration lacks cannot be moved, and keeps no other from it', async (t) => {
      const scene = await open(t, edition);
      const app = await startApp(t, 'app');
      scene.gates.setTarget('shop', app.target);
      scene.gates.setTarget('blog', app.target);
      await scene.direct();
      const asked = scene.gate.hold('blog', { drainTimeoutMs: 1_000, signal: never });
      await t.rejects(asked, { code: 'HAPROXY_APP_MISSING', message: /holdfast_app_blog/ });
      t.equal(scene.gates.snapshot('blog').state, 'open');
      await hold(scene.gate);
    });

    t.test('of two HAProxys both hold, or nothing is touched', async (t) => {
      const scene = await open(t, edition, { count: 2, timeoutMs: 200 });
      const [one, two] = scene.haproxys as [Haproxy, Haproxy];
      const a = await startApp(t, 'a');
      const b = await startApp(t, 'b');
      scene.gates.setTarget('shop', a.target);
      await scene.direct();
      two.signal('SIGSTOP');
      await t.rejects(hold(scene.gate), { code: 'HAPROXY_SILENT', retryable: true });
      t.ok(await isDirect(one), 'the other one was not touched');
      t.equal(scene.gates.snapshot('shop').state, 'open');
      t.equal(await scene.visit('/still', one), '200 a');
      two.signal('SIGCONT');
      await hold(scene.gate);
      const held = [scene.visit('/one', one), scene.visit('/two', two)];
      await eventually('both to be held', () => scene.gates.snapshot('shop').heldRequests === 2);
      await scene.gate.release('shop', b.target);
      t.same(await Promise.all(held), ['200 b', '200 b']);
    });
  });
}
