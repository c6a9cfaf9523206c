import { haproxyConfig } from '../haproxy/config-text.ts';
import { formatAddress, parseAddress } from './config/address.ts';
import type { GatewayConfig } from './config/schema.ts';

/** Beyond the longest time an answer may take here, so that it is the gateway that tells what went wrong. */
const GRACE_MS = 5_000;

/** The haproxy.cfg that goes with a configuration. */
export function haproxyText(
  config: GatewayConfig,
  { bind, gate, socket }: { readonly bind: string; readonly gate?: string; readonly socket: string },
): string {
  const { timeouts } = config;
  const apps = Object.entries(config.apps);
  const longestHoldMs = Math.max(0, ...apps.map(([, { hold }]) => hold.maxMs));
  return haproxyConfig({
    bind,
    gate: gate ?? reachable(config.listen),
    map: config.gate.map,
    statsSocket: socket,
    apps: apps.map(([name, { match }]) => ({ name, matches: match })),
    timeouts: {
      connectMs: timeouts.connectMs,
      serverMs: Math.max(longestHoldMs + timeouts.responseMs, timeouts.responseIdleMs) + GRACE_MS,
      clientMs: timeouts.responseIdleMs,
      requestHeadMs: timeouts.clientHeadMs,
      keepAliveMs: timeouts.keepAliveMs,
    },
  });
}

/** A gateway that listens on all addresses is reached on its own machine. */
function reachable(listen: string): string {
  const { host, port } = parseAddress(listen);
  if (host === '0.0.0.0') return formatAddress({ host: '127.0.0.1', port });
  return formatAddress({ host: host === '::' ? '::1' : host, port });
}
