import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { pino } from 'pino';
import { Gates } from '../../../gateway/gate/gates.ts';
import type { GateLimits } from '../../../gateway/gate/limits.ts';
import { Upgrades } from '../../../gateway/gate/upgrades.ts';
import type { Observer } from '../../../gateway/proxy/observer.ts';
import { createProxy, type ProxyOptions, type ReverseProxy } from '../../../gateway/proxy/proxy.ts';
import { Forwarded } from '../../../gateway/proxy/request-head.ts';

/** Whoever cleans up when a test ends: tap's `t`. */
export interface Scope {
  teardown(fn: () => unknown): void;
}

export const TARGET_HOST = 'a';

export const LIMITS: GateLimits = {
  maxHeldRequests: 1_000,
  maxHeldBytes: 64 << 20,
  maxHoldMs: 30_000,
  releaseConcurrency: 8,
  drainTimeoutMs: 2_000,
};

export interface App {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
}

/** A real HTTP server to stand behind the proxy. */
export async function startApp(t: Scope, onRequest: RequestListener): Promise<App> {
  const server = createServer(onRequest);
  // Port 0 would do, if not for connections of an app that was closed: tests that reuse its port name it.
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { server, port, url: `http://127.0.0.1:${port}` };
}

/** Writes down everything the proxy tells, one line each, without times. */
export function recorder(): Observer & { readonly lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    requestFinished: (app, method, status, _durationMs, by) =>
      lines.push(`finished ${app} ${method} ${status} ${by}`),
    requestHeld: (app) => lines.push(`held ${app}`),
    holdEnded: (app, _waitedMs, outcome) => lines.push(`hold-ended ${app} ${outcome}`),
    requestRejected: (app, reason) => lines.push(`rejected ${app} ${reason}`),
  };
}

export interface Front {
  readonly proxy: ReverseProxy;
  readonly gates: Gates;
  readonly port: number;
  readonly lines: string[];
}

export interface FrontOptions extends Partial<Pick<ProxyOptions, 'routes' | 'forwarded' | 'proxiedFrom'>> {
  readonly limits?: Partial<GateLimits>;
  readonly upgrades?: Upgrades;
  readonly replicaUrl?: string;
  /** Names of apps; one called `app` when left out. */
  readonly apps?: readonly string[];
  readonly headTimeoutMs?: number;
}

/** A proxy with one app that every host leads to, and no target yet. */
export async function startFront(t: Scope, options: FrontOptions = {}): Promise<Front> {
  const { apps = ['app'], replicaUrl, routes = [{ app: 'app' }], forwarded = Forwarded.replaced } = options;
  const limits = { ...LIMITS, ...options.limits };
  const upgrades = options.upgrades ?? Upgrades.wait;
  const gates = new Gates(Object.fromEntries(apps.map((app) => [app, { limits, upgrades, replicaUrl }])), {
    connectTimeoutMs: 2_000,
    headTimeoutMs: options.headTimeoutMs ?? 20_000,
    bodyTimeoutMs: 20_000,
  });
  const observer = recorder();
  const proxy = createProxy({
    routes,
    gates,
    observer,
    log: pino({ level: 'silent' }),
    forwarded,
    proxiedFrom: options.proxiedFrom,
    timeouts: { headTimeoutMs: 10_000, keepAliveTimeoutMs: 10_000 },
  });
  const { port } = await proxy.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(async () => {
    await proxy.close(AbortSignal.abort());
    await gates.close();
  });
  return { proxy, gates, port, lines: observer.lines };
}

/** A proxy whose app is already known to run at `app`. */
export async function startFrontFor(
  t: Scope,
  app: { readonly url: string },
  options: FrontOptions = {},
): Promise<Front> {
  const front = await startFront(t, options);
  front.gates.setTarget('app', { host: TARGET_HOST, url: app.url });
  return front;
}

/** A client that says exactly the bytes it is told to, and waits for what it is told to. */
export class RawClient {
  readonly socket: Socket;
  /** The other side has ended or broken the connection. */
  readonly ended: Promise<void>;
  text = '';

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
    });
    this.socket.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.socket.once('end', resolve);
      this.socket.once('close', () => resolve());
    });
  }

  send(...lines: string[]): this {
    this.socket.write(lines.join('\r\n'), 'latin1');
    return this;
  }

  /** Everything received so far, once `pattern` is in it. Fails when the connection ends without. */
  async until(pattern: RegExp | string): Promise<string> {
    const found = () => (typeof pattern === 'string' ? this.text.includes(pattern) : pattern.test(this.text));
    while (!found()) {
      if (this.socket.readableEnded || this.socket.destroyed) throw new Error(`ended with: ${this.text}`);
      await Promise.race([new Promise((resolve) => this.socket.once('data', resolve)), this.ended]);
    }
    return this.text;
  }
}

export function rawClient(t: Scope, port: number): RawClient {
  const client = new RawClient(port);
  t.teardown(() => client.socket.destroy());
  return client;
}

/** Settles once `condition` holds; looks again after every turn of the event loop. */
export async function eventually(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export function hold(front: Front, drainTimeoutMs = 5_000) {
  return front.gates.hold('app', { drainTimeoutMs, signal: AbortSignal.timeout(30_000) });
}
