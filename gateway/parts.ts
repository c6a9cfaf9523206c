import type { Logger } from 'pino';
import { parseRuntimeAddress } from '../haproxy/address.ts';
import { type DirectTarget, Front } from '../haproxy/front.ts';
import { HaproxyGate } from '../haproxy/gate.ts';
import { AgentClient } from '../migrator/agent/client.ts';
import type { Target } from '../migrator/gate.ts';
import type { MigrationsOptions } from '../migrator/migrations.ts';
import { readTlsFiles } from '../migrator/pki/tls-files.ts';
import { parseRateBps } from '../migrator/rate.ts';
import { parseNetworks } from './config/networks.ts';
import type { AppConfig, GatewayConfig } from './config/schema.ts';
import { type AppOptions, Gates } from './gate/gates.ts';
import { GateState } from './gate/state.ts';
import type { Opened } from './opened.ts';
import type { PlacedHost } from './placements/placements.ts';
import type { ProxyOptions } from './proxy/proxy.ts';
import { Forwarded } from './proxy/request-head.ts';
import type { Route } from './proxy/routes.ts';

/** The configuration, in the words of the parts. */

export function createGates(config: GatewayConfig, onMissed?: (app: string) => void): Gates {
  const { connectMs, responseMs, responseIdleMs } = config.timeouts;
  const apps = mapApps(
    config,
    (app): AppOptions => ({
      limits: limitsOf(app),
      upgrades: app.hold.upgrades,
      replicaUrl: app.replica,
    }),
  );
  const timeouts = {
    connectTimeoutMs: connectMs,
    headTimeoutMs: responseMs,
    bodyTimeoutMs: responseIdleMs,
  };
  const gates = new Gates(Object.fromEntries(apps), timeouts, onMissed);
  for (const [name, { upstream }] of Object.entries(config.apps)) {
    if (upstream === undefined) continue;
    const { host, origin } = new URL(upstream);
    gates.setTarget(name, { host, url: origin });
  }
  return gates;
}

/** HAProxy in front of the gates, if there is to be one. */
export function createHaproxyGate(config: GatewayConfig, gates: Gates, log: Logger): HaproxyGate | undefined {
  if (config.gate.type === 'built-in') return undefined;
  const openTarget = (app: string): Target | undefined => {
    const { state, target } = gates.snapshot(app);
    return state === GateState.open ? target : undefined;
  };
  const { sockets, optionalSockets = [], map } = config.gate;
  const frontAt = (socket: string, isOptional: boolean) =>
    new Front({
      address: parseRuntimeAddress(socket),
      isOptional,
      map,
      apps: Object.keys(config.apps),
      wanted: (app) => directTarget(openTarget(app)),
    });
  const fronts = [
    ...sockets.map((socket) => frontAt(socket, false)),
    ...optionalSockets.map((socket) => frontAt(socket, true)),
  ];
  return new HaproxyGate({ gate: gates, openTarget, fronts, log });
}

/** What HAProxy does not speak to itself goes by way of the gate for good. */
function directTarget(target: Target | undefined): DirectTarget | undefined {
  if (target === undefined) return undefined;
  const { protocol, hostname, port } = new URL(target.url);
  if (protocol !== 'http:') return undefined;
  return { address: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) };
}

/** Whose word the proxy takes for who asks, and what it makes of it. */
export function forwardingOf(config: GatewayConfig): Pick<ProxyOptions, 'forwarded' | 'proxiedFrom'> {
  const { gate, proxyProtocolFrom, trustForwarded } = config;
  const isProxied = proxyProtocolFrom.length > 0;
  const proxiedFrom = isProxied ? parseNetworks(proxyProtocolFrom) : undefined;
  if (gate.type === 'haproxy' && !isProxied) return { forwarded: Forwarded.kept };
  return { forwarded: trustForwarded ? Forwarded.extended : Forwarded.replaced, proxiedFrom };
}

/** @throws HoldfastError `TLS_FILE_UNREADABLE` */
export async function connectAgents(
  config: GatewayConfig,
  opened: Opened,
): Promise<Map<string, AgentClient>> {
  const agents = new Map<string, AgentClient>();
  if (config.tls === undefined) return agents;
  const tls = await readTlsFiles(config.tls);
  for (const [host, { agent }] of Object.entries(config.hosts)) {
    const client = new AgentClient({ host, url: new URL(agent).origin, tls });
    opened.add(() => client.close());
    agents.set(host, client);
  }
  return agents;
}

export function placedHosts(
  config: GatewayConfig,
  agents: ReadonlyMap<string, AgentClient>,
): Map<string, PlacedHost> {
  return new Map(
    [...agents].map(([host, agent]) => {
      const address = config.hosts[host]?.address ?? new URL(agent.url).hostname.replace(/^\[|\]$/g, '');
      return [host, { agent, address }];
    }),
  );
}

/** App to container, of those that have one. */
export function containersOf(config: GatewayConfig): Map<string, string> {
  return new Map(
    Object.entries(config.apps).flatMap(([app, { container }]) =>
      container === undefined ? [] : [[app, container] as const],
    ),
  );
}

export function movableApps(config: GatewayConfig): MigrationsOptions['apps'] {
  const containers = containersOf(config);
  return new Map(
    mapApps(config, (app, name) => ({
      container: containers.get(name) ?? '',
      hold: limitsOf(app),
      limitRateBps: app.limitRate === undefined ? undefined : parseRateBps(app.limitRate),
    })).filter(([name]) => containers.has(name)),
  );
}

export function routesOf(config: GatewayConfig): Route[] {
  return mapApps(config, (app) => app.match).flatMap(([app, matches]) =>
    matches.map((match) => ({ app, ...match })),
  );
}

function limitsOf({ hold }: AppConfig): AppOptions['limits'] {
  return {
    maxHeldRequests: hold.maxRequests,
    maxHeldBytes: hold.maxBytes,
    maxHoldMs: hold.maxMs,
    releaseConcurrency: hold.releaseConcurrency,
    drainTimeoutMs: hold.drainTimeoutMs,
  };
}

function mapApps<T>(config: GatewayConfig, of: (app: AppConfig, name: string) => T): [string, T][] {
  return Object.entries(config.apps).map(([name, app]) => [name, of(app, name)]);
}
