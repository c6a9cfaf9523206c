import type { PublishedPort } from './docker-settings.ts';
import type { Inspected, PortBinding, PortMap } from './inspected.ts';

/**
 * The ports that are published, each with the port that it has at this host. One that Docker chose (from all, or from
 * a range) is among them as if it had been asked for: who was told of it must find the app at the same port.
 */
export function fixedPorts({ HostConfig, NetworkSettings }: Inspected): PortMap {
  const asked = HostConfig.PortBindings ?? {};
  const actual = NetworkSettings.Ports ?? {};
  const names = new Set([...Object.keys(asked), ...(HostConfig.PublishAllPorts ? Object.keys(actual) : [])]);
  return Object.fromEntries(
    [...names].map((name) => [name, fixed(asked[name] ?? [], actual[name] ?? [])] as const),
  );
}

function fixed(asked: readonly PortBinding[], actual: readonly PortBinding[]): PortBinding[] {
  const isTaken = new Set(asked.map(({ HostPort }) => HostPort).filter(isOnePort));
  const chosen = actual.filter(({ HostPort }) => !isTaken.has(HostPort));
  if (asked.length === 0) {
    // Docker tells one binding to all addresses twice, for IPv4 and IPv6.
    return [...new Set(chosen.map(({ HostPort }) => HostPort))].map((HostPort) => ({ HostIp: '', HostPort }));
  }
  return asked.map((binding) => {
    if (isOnePort(binding.HostPort)) return binding;
    const found = chosen.find(
      ({ HostIp, HostPort }) =>
        !isTaken.has(HostPort) && (binding.HostIp === '' || binding.HostIp === HostIp),
    );
    if (found === undefined) return binding;
    isTaken.add(found.HostPort);
    return { ...binding, HostPort: found.HostPort };
  });
}

function isOnePort(port: string): boolean {
  return /^[1-9]\d*$/.test(port);
}

/** The same as a list, for whoever looks whether they are free. */
export function publishedPorts(ports: PortMap): PublishedPort[] {
  return Object.entries(ports).flatMap(([name, bindings]) =>
    (bindings ?? []).map(({ HostIp, HostPort }) => ({
      protocol: name.split('/')[1] ?? 'tcp',
      address: HostIp === '0.0.0.0' || HostIp === '::' ? '' : HostIp,
      port: Number(HostPort),
    })),
  );
}
