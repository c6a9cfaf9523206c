import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import path from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { parseNetworks } from '../../gateway/config/networks.ts';
import { Gates } from '../../gateway/gate/gates.ts';
import { createProxy } from '../../gateway/proxy/proxy.ts';
import { Forwarded } from '../../gateway/proxy/request-head.ts';
import { haproxyConfig } from '../../haproxy/config-text.ts';
import { Front } from '../../haproxy/front.ts';
import { HaproxyGate } from '../../haproxy/gate.ts';
import { getMap } from '../../haproxy/maps.ts';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import type { Target } from '../../migrator/gate.ts';
import { type Edition, eventually, Haproxy } from './haproxy.ts';

export const never = new AbortController().signal;
const LIMITS = {
  maxHeldRequests: 1_000,
  maxHeldBytes: 10_000_000,
  maxHoldMs: 30_000,
  releaseConcurrency: 16,
  drainTimeoutMs: 5_000,
};

export interface App {
  readonly server: Server;
  readonly target: Target;
  /** What came, in order. */
  readonly visits: IncomingMessage[];
  readonly connections: () => number;
}

export async function startApp(
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
  return { server, target: { host: name, url }, visits, connections: () => sockets.size };
}

export interface Scene {
  readonly haproxys: readonly Haproxy[];
  readonly gates: Gates;
  readonly gate: HaproxyGate;
  /** What the gate has logged, by its words. */
  readonly logged: readonly string[];
  /** Where users come in at the first HAProxy. */
  readonly usersPort: number;
  /** A user's request through a HAProxy; settles with status and body. */
  visit(
    url: string,
    by?: Haproxy,
    more?: Pick<RequestOptions, 'method' | 'headers' | 'agent'>,
  ): Promise<string>;
  /** Settles when every HAProxy sends requests to the app itself. */
  direct(): Promise<void>;
}

export interface SceneOptions {
  /** Of HAProxys. */
  readonly count?: number;
  readonly timeoutMs?: number;
  /** How many of them a hold may leave out, the last ones. */
  readonly optional?: number;
  /** Tell the gate of clients by the PROXY protocol, not by headers only. */
  readonly proxyProtocol?: boolean;
  readonly replicaUrl?: string;
  /** Users come by TLS and HTTP/2: certificate and key. */
  readonly pem?: string;
}

/** Where users of a scene come from. */
export const USER = '127.0.0.5';

/** HAProxys in front of the real gate and proxy, for one app. */
export async function open(t: Test, edition: Edition, options: SceneOptions = {}): Promise<Scene> {
  const { count = 1, timeoutMs, optional = 0, proxyProtocol = false, replicaUrl, pem } = options;
  const haproxys = await Promise.all(Array.from({ length: count }, () => Haproxy.create(edition)));
  const gates = new Gates(
    { shop: { limits: LIMITS, replicaUrl }, blog: { limits: LIMITS } },
    { connectTimeoutMs: 2_000, headTimeoutMs: 30_000, bodyTimeoutMs: 30_000 },
  );
  const proxy = createProxy({
    routes: [{ app: 'shop' }],
    gates,
    observer: { requestHeld() {}, holdEnded() {}, requestFinished() {}, requestRejected() {} },
    log: pino({ level: 'silent' }),
    forwarded: proxyProtocol ? Forwarded.replaced : Forwarded.kept,
    proxiedFrom: proxyProtocol ? parseNetworks(['127.0.0.1']) : undefined,
    timeouts: { headTimeoutMs: 10_000, keepAliveTimeoutMs: 60_000 },
  });
  const { port } = await proxy.listen({ host: '127.0.0.1', port: 0 });
  const wanted = (app: string) => {
    const { state, target } = gates.snapshot(app);
    if (state !== 'open' || target === undefined) return undefined;
    return { address: '127.0.0.1', port: Number(new URL(target.url).port) };
  };
  const logged: string[] = [];
  const fronts = haproxys.map(
    ({ masterSocket, map }, index) =>
      new Front({
        address: { path: masterSocket },
        map,
        apps: ['shop', 'blog'],
        isOptional: index >= count - optional,
        wanted,
        timeoutMs,
      }),
  );
  const gate = new HaproxyGate({
    gate: gates,
    openTarget: (app) => (gates.snapshot(app).state === 'open' ? gates.snapshot(app).target : undefined),
    fronts,
    log: pino({ level: 'warn' }, { write: (line: string) => logged.push(JSON.parse(line).msg) }),
  });
  t.teardown(async () => {
    await gate.close();
    await Promise.all(haproxys.map((haproxy) => haproxy.stop()));
    await proxy.close(AbortSignal.abort());
    await gates.close();
  });
  const ports = new Map<Haproxy, number>();
  for (const haproxy of haproxys) {
    const usersPort = await freePort();
    ports.set(haproxy, usersPort);
    const pemFile = path.join(haproxy.dir, 'users.pem');
    if (pem !== undefined) await writeFile(pemFile, pem);
    const tls = pem === undefined ? '' : ` ssl crt ${pemFile} alpn h2,http/1.1`;
    await haproxy.begin(
      haproxyConfig({
        bind: `127.0.0.1:${usersPort}${tls}`,
        proxyProtocol,
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
    logged,
    usersPort: (first && ports.get(first)) ?? 0,
    async visit(url, by = first, { method = 'GET', headers = {}, agent = false } = {}) {
      const sent = request({
        host: '127.0.0.1',
        port: by && ports.get(by),
        localAddress: USER,
        path: url,
        method,
        agent,
        headers: { host: 'shop.example', ...headers },
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

export async function isDirect({ masterSocket, map }: Haproxy): Promise<boolean> {
  const runtime = new OneShotRuntime({ address: { path: masterSocket } });
  return (await runtime.ask([getMap(map, 'shop')], never))[0] === 'direct';
}

export const hold = (gate: HaproxyGate, drainTimeoutMs = 5_000) =>
  gate.hold('shop', { drainTimeoutMs, signal: never });

/** HAProxy cannot be asked which port it was given. */
async function freePort(): Promise<number> {
  const server = createNetServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return port;
}
