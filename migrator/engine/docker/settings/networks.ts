import type { Finding } from '../../engine.ts';
import { NETWORK_FIELDS } from './belongings-fields.ts';
import { ENDPOINT_FIELDS } from './container-fields.ts';
import type { DockerApi } from './docker-api.ts';
import type { NetworkShape } from './docker-settings.ts';
import { findingOf, type Sifted, sift } from './field.ts';
import type { Endpoint, Inspected, InspectedNetwork } from './inspected.ts';

/** Every engine has these of its own. */
const BUILT_IN = ['bridge', 'host', 'none'];
const ID_LENGTH = 12;

interface Networks {
  readonly shapes: readonly NetworkShape[];
  /** How the container is in each, by its name. */
  readonly endpoints: Readonly<Record<string, Record<string, unknown>>>;
  /** What is needed to make each of those that can be made. */
  readonly making: Readonly<Record<string, Record<string, unknown>>>;
  readonly findings: readonly Finding[];
}

/** The networks a container is in. */
export async function networksOf(docker: DockerApi, container: Inspected): Promise<Networks> {
  const shapes: NetworkShape[] = [];
  const endpoints: Record<string, Record<string, unknown>> = {};
  const making: Record<string, Record<string, unknown>> = {};
  const findings: Finding[] = [];
  for (const [name, endpoint] of Object.entries(container.NetworkSettings.Networks ?? {})) {
    const sifted = sift(endpoint, ENDPOINT_FIELDS, container);
    findings.push(...sifted.refusals.map(findingOf));
    endpoints[name] = { ...sifted.carried, ...ownAliases(endpoint, container), ...askedMac(name, container) };
    if (BUILT_IN.includes(name)) continue;
    const network = await docker.network(endpoint.NetworkID || name);
    if (network === undefined) continue;
    const made = makingOf(network, sift(network, NETWORK_FIELDS, container));
    if (made.body !== undefined) making[name] = made.body;
    shapes.push({
      ...shapeOf(name, network, endpoint),
      ...(made.why === undefined ? {} : { whyNotMade: made.why }),
    });
  }
  return { shapes, endpoints, making, findings };
}

/** `NetworkMode` may hold an id, which says nothing to another engine. */
export function networkMode({ HostConfig, NetworkSettings }: Inspected): string {
  const { NetworkMode } = HostConfig;
  const networks = Object.entries(NetworkSettings.Networks ?? {});
  if (NetworkMode.length < ID_LENGTH || networks.some(([name]) => name === NetworkMode)) return NetworkMode;
  return networks.find(([, { NetworkID }]) => NetworkID.startsWith(NetworkMode))?.[0] ?? NetworkMode;
}

/** Engines before API 1.45 tell the container's short id among the names it was given. */
function ownAliases({ Aliases }: Endpoint, { Id }: Inspected): object {
  const given = (Aliases ?? []).filter((alias) => alias !== Id.slice(0, ID_LENGTH));
  return given.length === 0 ? {} : { Aliases: given };
}

function askedMac(name: string, container: Inspected): object {
  const { MacAddress = '' } = container.Config;
  return MacAddress !== '' && name === networkMode(container).replace(/^default$/, 'bridge')
    ? { MacAddress }
    : {};
}

function makingOf(
  network: InspectedNetwork,
  { carried, refusals }: Sifted,
): { body?: Record<string, unknown>; why?: string } {
  if (network.IPAM.Driver !== 'default') return { why: 'another driver gives out its addresses' };
  if (refusals[0] !== undefined) return { why: refusals[0].why };
  // Some engines tell the gateway with the length of its subnet.
  const config = network.IPAM.Config?.map(({ Gateway, ...rest }) =>
    typeof Gateway === 'string' && Gateway !== '' ? { ...rest, Gateway: Gateway.split('/')[0] } : rest,
  );
  const ipam = { Driver: network.IPAM.Driver, Options: network.IPAM.Options, Config: config ?? [] };
  return { body: { ...carried, Driver: network.Driver, IPAM: ipam } };
}

function shapeOf(name: string, network: InspectedNetwork, { IPAMConfig, Links }: Endpoint): NetworkShape {
  const { IPv4Address = '', IPv6Address = '' } = IPAMConfig ?? {};
  return {
    name,
    driver: network.Driver,
    internal: network.Internal === true,
    subnets: (network.IPAM.Config ?? []).map(({ Subnet }) => Subnet),
    addresses: [IPv4Address, IPv6Address].filter((address) => address !== ''),
    links: (Links ?? []).map((link) => link.split(':')[0] ?? ''),
  };
}
