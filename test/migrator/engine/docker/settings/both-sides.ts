import type { Inspected, PortBinding } from '../../../../../migrator/engine/docker/settings/inspected.ts';

type Json = Record<string, unknown>;

const DOCKERS_NAME = /^[0-9a-f]{64}$/;
/** What each engine makes for itself, around `Config` and `HostConfig`. */
const OWN = [
  ...['Id', 'Created', 'State', 'ResolvConfPath', 'HostnamePath', 'HostsPath', 'LogPath', 'RestartCount'],
  ...['GraphDriver', 'ExecIDs', 'NetworkSettings'],
];
const OWN_IN_NETWORK = [
  ...['MacAddress', 'NetworkID', 'EndpointID', 'Gateway', 'IPAddress', 'IPPrefixLen', 'IPv6Gateway'],
  ...['GlobalIPv6Address', 'GlobalIPv6PrefixLen', 'DNSNames'],
];

/**
 * `docker inspect` of a running container without what must differ at another host, as docs/docker-settings.md has it.
 * It knows nothing of the tables that containers are carried by: what those forget shows here.
 */
export function comparable(inspected: Inspected): Json {
  const { HostConfig, Config, NetworkSettings, Mounts } = inspected;
  const rest = Object.fromEntries(Object.entries(inspected).filter(([field]) => !OWN.includes(field)));
  const hostConfig: Json = { ...HostConfig };
  for (const field of ['Runtime', 'ContainerIDFile', 'PortBindings']) delete hostConfig[field];
  // A volume without a name is asked for by its name afterwards: `Mounts` around this shows that it is the same one.
  hostConfig.Binds = HostConfig.Binds?.length ? HostConfig.Binds : null;
  hostConfig.Mounts = (HostConfig.Mounts ?? []).filter(
    ({ Type, Source = '' }) => Type !== 'volume' || (Source !== '' && !DOCKERS_NAME.test(Source)),
  );
  return {
    ...rest,
    Config,
    HostConfig: hostConfig,
    Mounts: (Mounts ?? [])
      .map((mount) => ({ ...mount, Mode: 'in Binds' }))
      .sort((one, other) => (one.Destination < other.Destination ? -1 : 1)),
    ports: Object.entries(NetworkSettings.Ports ?? {})
      .map(([port, bindings]) => [port, sorted(bindings ?? [])])
      .sort(),
    networks: Object.entries(NetworkSettings.Networks ?? {})
      .map(([name, endpoint]) => [
        name,
        Object.fromEntries(Object.entries(endpoint).filter(([field]) => !OWN_IN_NETWORK.includes(field))),
      ])
      .sort(),
  };
}

function sorted(bindings: readonly PortBinding[]): string[] {
  return bindings.map(({ HostIp, HostPort }) => `${HostIp}:${HostPort}`).sort();
}
