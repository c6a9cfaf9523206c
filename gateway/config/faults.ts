import { parseRuntimeAddress } from '../../haproxy/address.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import { Upgrades } from '../gate/upgrades.ts';
import { formatAddress, isLoopback, parseAddress } from './address.ts';
import { parseNetworks } from './networks.ts';
import type { GatewayConfig } from './schema.ts';

/** A fault a schema cannot express, and the key path of what is wrong. */
export interface ConfigFault {
  readonly path: readonly string[];
  readonly message: string;
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** What the schema lets pass and yet cannot work: references to nothing, two owners of one route, … */
export function findFaults(config: GatewayConfig): ConfigFault[] {
  return [
    ...nameFaults(config),
    ...addressFaults(config),
    ...gateFaults(config),
    ...appFaults(config),
    ...routeFaults(config),
  ];
}

function nameFaults(config: GatewayConfig): ConfigFault[] {
  return (['hosts', 'apps'] as const).flatMap((section) =>
    Object.keys(config[section])
      .filter((name) => !NAME.test(name))
      .map((name) => ({
        path: [section, name],
        message: `${section}.${name}: a name is lower-case letters, digits and hyphens, at most 63`,
      })),
  );
}

function addressFaults(config: GatewayConfig): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const places = [
    { path: ['listen'], text: config.listen },
    { path: ['admin', 'listen'], text: config.admin.listen },
  ];
  for (const { path, text } of places) {
    if (parseAddress(text).port > 65_535) {
      faults.push({
        path,
        message: `${path.join('.')}: ${text} is not ADDRESS:PORT with a port up to 65535`,
      });
    }
  }
  for (const [index, text] of config.proxyProtocolFrom.entries()) {
    try {
      parseNetworks([text]);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const path = ['proxyProtocolFrom', String(index)];
      faults.push({ path, message: `proxyProtocolFrom: ${error.message}` });
    }
  }
  const [traffic, admin] = [parseAddress(config.listen), parseAddress(config.admin.listen)];
  if (traffic.port !== 0 && traffic.port === admin.port && traffic.host === admin.host) {
    faults.push({
      path: ['admin', 'listen'],
      message: `admin.listen: ${formatAddress(admin)} is also where the traffic comes in`,
    });
  }
  return faults;
}

function gateFaults({ gate }: GatewayConfig): ConfigFault[] {
  const sockets = (['sockets', 'optionalSockets'] as const).flatMap((key) =>
    (gate[key] ?? []).map((text, index) => ({
      key: `gate.${key}`,
      text,
      path: ['gate', key, String(index)],
    })),
  );
  const [first] = sockets;
  if (gate.type === 'built-in' && first !== undefined) {
    const path = first.path.slice(0, 2);
    return [{ path, message: `${first.key}: they are of HAProxy, but gate.type is built-in` }];
  }
  if (gate.type === 'haproxy' && first === undefined) {
    const message = 'gate.sockets is missing: HAProxy is driven over its runtime socket';
    return [{ path: ['gate', 'type'], message }];
  }
  return sockets.flatMap(({ key, text, path }, index) => {
    if (sockets.findIndex((one) => one.text === text) < index)
      return [{ path, message: `${key}: ${text} is there twice` }];
    try {
      parseRuntimeAddress(text);
      return [];
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return [{ path, message: `${key}: ${error.message}` }];
    }
  });
}

function appFaults(config: GatewayConfig): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const containers = new Map<string, string>();
  for (const [name, app] of Object.entries(config.apps)) {
    const path = ['apps', name];
    if ((app.container === undefined) === (app.upstream === undefined)) {
      faults.push({ path, message: `apps.${name} must have exactly one of container, upstream` });
    }
    if (config.gate.type === 'haproxy' && app.hold.upgrades === Upgrades.close) {
      const message = `apps.${name}.hold.upgrades: HAProxy carries them itself and can only wait for their end`;
      faults.push({ path: [...path, 'hold', 'upgrades'], message });
    }
    if (app.container === undefined) continue;
    const owner = containers.get(app.container);
    if (owner !== undefined) {
      faults.push({
        path: [...path, 'container'],
        message: `apps.${name}.container: ${app.container} already is the container of ${owner}`,
      });
    }
    containers.set(app.container, name);
  }
  if (containers.size > 0 && Object.keys(config.hosts).length === 0) {
    faults.push({ path: ['apps'], message: 'apps run in containers, but there are no hosts' });
  }
  if (Object.keys(config.hosts).length > 0 && config.tls === undefined) {
    faults.push({ path: ['hosts'], message: 'tls is missing: hosts are reached by mutual TLS only' });
  }
  return faults;
}

function routeFaults(config: GatewayConfig): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const owners = new Map<string, string>();
  for (const [name, app] of Object.entries(config.apps)) {
    for (const [index, match] of app.match.entries()) {
      const path = ['apps', name, 'match', String(index)];
      const where = `${match.host?.toLowerCase() ?? '*'}${match.path ?? '/'}`;
      const owner = owners.get(where);
      if (owner !== undefined) {
        faults.push({ path, message: `apps.${name}.match.${index}: ${where} already leads to ${owner}` });
      }
      owners.set(where, name);
    }
  }
  return faults;
}

/** True when anybody but this machine could reach the admin API. */
export function adminIsExposed(config: GatewayConfig): boolean {
  return !isLoopback(parseAddress(config.admin.listen).host);
}
