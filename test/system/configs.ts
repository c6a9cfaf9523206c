import type { GatewayConfig } from '../../gateway/config/schema.ts';
import type { Lab } from '../lab/lab.ts';

/** The configuration of the parts, as in their YAML files. Tests change what they need to. */
export type GatewaySettings = Partial<Omit<GatewayConfig, 'apps'>> & {
  apps: Record<string, AppSettings>;
};
export interface AppSettings {
  match: { host?: string; path?: string }[];
  container?: string;
  replica?: string;
  hold?: Partial<GatewayConfig['apps'][string]['hold']>;
}
export type AgentSettings = Record<string, unknown> & { containers: Record<string, ContainerSettings> };
export type ContainerSettings = Record<string, unknown> & { env?: Record<string, string> };

export const APP = 'shop';
export const APP_PORT = 8080;
export const AGENT_PORT = 7443;
export const ADMIN_PORT = 9100;
export const FRONT_PORT = 8080;
/** Of the first HAProxy in front; the second has the next one. */
export const HAPROXY_PORT = 8000;

export interface AppOptions {
  /** Of session records; Node's own memory comes on top. */
  readonly memoryMib?: number;
  /** Texts that compress to a third, or random bytes; texts when not given. */
  readonly memoryKind?: 'sessions' | 'random';
  /** Pages rewritten, in MiB. */
  readonly dirtyMibPerS?: number;
}

/** Loopback, and yet another address for each lab: several may be up at once. */
export function adminAddress(lab: Lab): string {
  return lab.gatewayAddress.replace(/^\d+/, '127');
}

export function gatewaySettings(lab: Lab, dir: string): GatewaySettings {
  return {
    listen: `${lab.gatewayAddress}:${FRONT_PORT}`,
    admin: { listen: `${adminAddress(lab)}:${ADMIN_PORT}`, allowedHosts: [] },
    stateDir: `${dir}/gateway-state`,
    tls: { ca: `${dir}/pki/ca.crt`, cert: `${dir}/pki/gateway.crt`, key: `${dir}/pki/gateway.key` },
    hosts: Object.fromEntries(
      [...lab.hosts.values()].map(({ name, address }) => [
        name,
        { agent: `https://${address}:${AGENT_PORT}` },
      ]),
    ),
    apps: { [APP]: { match: [{ path: '/' }], container: APP } },
  };
}

/** The app runs on the hosts' own root file system, read-only, with Node from there and its program bound in. */
export function appContainer(app: AppOptions): ContainerSettings & { env: Record<string, string> } {
  return {
    engine: 'runc',
    rootfs: '/srv/rootfs',
    // A small young generation, as one sets it for many small processes: what it holds is garbage, but it moves too.
    command: ['/usr/bin/node', '--max-semi-space-size=2', '/srv/server.mjs'],
    env: {
      PORT: String(APP_PORT),
      MEMORY_MIB: String(app.memoryMib ?? 64),
      MEMORY_KIND: app.memoryKind ?? 'sessions',
      DIRTY_MIB_PER_S: String(app.dirtyMibPerS ?? 0),
    },
    port: APP_PORT,
    health: { path: '/health' },
    tmpfs: ['/tmp'],
    mounts: [{ source: '/opt/holdfast/test/workload/app', destination: '/srv', readOnly: true }],
  };
}

export function agentSettings(host: { name: string; address: string }, app: AppOptions): AgentSettings {
  return {
    host: host.name,
    listen: `${host.address}:${AGENT_PORT}`,
    tls: {
      ca: '/etc/holdfast/ca.crt',
      cert: `/etc/holdfast/${host.name}.crt`,
      key: `/etc/holdfast/${host.name}.key`,
    },
    containers: { [APP]: appContainer(app) },
  };
}
