import { type ConfigFinding, checkHaproxyConfig } from '../haproxy/config-check.ts';
import { type ConfigTextOptions, haproxyConfig } from '../haproxy/config-text.ts';
import { formatAddress, parseAddress } from './config/address.ts';
import type { GatewayConfig } from './config/schema.ts';

/** Beyond the longest time an answer may take here, so that it is the gateway that tells what went wrong. */
const GRACE_MS = 5_000;

/** Where things are as HAProxy sees them. */
export interface HaproxyPlaces {
  /** Where users come in. */
  readonly bind: string;
  /** Where Holdfast is reached, if not at its `listen`. */
  readonly gate?: string;
  /** The runtime socket of a worker. */
  readonly socket: string;
}

const PLACES: HaproxyPlaces = { bind: ':80', socket: '/run/haproxy/holdfast.sock' };

/** The haproxy.cfg that goes with a configuration. */
export function haproxyText(config: GatewayConfig, places: HaproxyPlaces): string {
  return haproxyConfig(textOptions(config, places));
}

/**
 * What an existing haproxy.cfg lacks for a configuration.
 *
 * @throws HoldfastError `HAPROXY_FRONTEND_UNCLEAR`
 */
export function checkHaproxyText(
  text: string,
  config: GatewayConfig,
  { gate, frontend }: { readonly gate?: string; readonly frontend?: string },
): ConfigFinding[] {
  const places = gate === undefined ? PLACES : { ...PLACES, gate };
  return checkHaproxyConfig(text, textOptions(config, places), frontend);
}

function textOptions(config: GatewayConfig, { bind, gate, socket }: HaproxyPlaces): ConfigTextOptions {
  const { timeouts } = config;
  const apps = Object.entries(config.apps);
  const longestHoldMs = Math.max(0, ...apps.map(([, { hold }]) => hold.maxMs));
  return {
    bind,
    gate: gate ?? reachable(config.listen),
    proxyProtocol: config.proxyProtocolFrom.length > 0,
    map: config.gate.map,
    statsSocket: socket,
    sockets: [...config.gate.sockets, ...(config.gate.optionalSockets ?? [])],
    apps: apps.map(([name, { match }]) => ({ name, matches: match })),
    longestHoldMs,
    timeouts: {
      connectMs: timeouts.connectMs,
      serverMs: Math.max(longestHoldMs + timeouts.responseMs, timeouts.responseIdleMs) + GRACE_MS,
      clientMs: timeouts.responseIdleMs,
      requestHeadMs: timeouts.clientHeadMs,
      keepAliveMs: timeouts.keepAliveMs,
    },
  };
}

/** A gateway that listens on all addresses is reached on its own machine. */
function reachable(listen: string): string {
  const { host, port } = parseAddress(listen);
  if (host === '0.0.0.0') return formatAddress({ host: '127.0.0.1', port });
  return formatAddress({ host: host === '::' ? '::1' : host, port });
}
