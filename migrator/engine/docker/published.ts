import type { Inspected } from './settings/inspected.ts';

/** Where a container's only published TCP port is reached on this host; undefined when there is none, or several. */
export function publishedAt({
  NetworkSettings,
  HostConfig,
}: Inspected): { readonly port: number; readonly address: string } | undefined {
  // Of one that does not run Docker tells only what was asked for.
  const ports =
    Object.keys(NetworkSettings.Ports ?? {}).length > 0 ? NetworkSettings.Ports : HostConfig.PortBindings;
  const bindings = Object.entries(ports ?? {})
    .filter(([port]) => port.endsWith('/tcp'))
    .flatMap(([, bound]) => bound ?? []);
  const distinct = new Map(bindings.map((binding) => [binding.HostPort, binding]));
  const [only] = distinct.values();
  if (only === undefined || distinct.size > 1) return undefined;
  const port = Number(only.HostPort);
  if (!Number.isInteger(port) || port === 0) return undefined;
  return { port, address: isAny(only.HostIp) ? '127.0.0.1' : only.HostIp };
}

function isAny(address: string): boolean {
  return address === '' || address === '0.0.0.0' || address === '::';
}
