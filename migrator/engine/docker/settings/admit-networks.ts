import { BlockList, isIPv4 } from 'node:net';
import type { Finding } from '../../engine.ts';
import type { DockerApi } from './docker-api.ts';
import type { DockerShape, NetworkShape } from './docker-settings.ts';
import type { InspectedNetwork } from './inspected.ts';

/** What stands against having the container in networks of the same names here. */
export async function admitNetworks(api: DockerApi, { networks, name }: DockerShape): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const network of networks) {
    const here = await api.network(network.name);
    findings.push(
      ...(here === undefined ? await missing(api, network) : present(network, here, name)),
      ...(await linkFindings(api, network)),
    );
  }
  return findings;
}

async function missing(api: DockerApi, network: NetworkShape): Promise<Finding[]> {
  const { name, whyNotMade, addresses, subnets } = network;
  if (whyNotMade !== undefined) {
    return [
      {
        code: 'NETWORK_MISSING',
        message: `there is no network ${name} here, and none is made: ${whyNotMade}`,
        mend: 'docker network create it',
      },
    ];
  }
  if (addresses.length === 0) return [];
  const others = (await api.networks()).filter(({ IPAM }) =>
    IPAM.Config?.some(({ Subnet }) => subnets.some((subnet) => overlap(subnet, Subnet))),
  );
  return others.map((other) => ({
    code: 'NETWORK_DIFFERS',
    message: `it has a fixed address in the network ${name}, whose subnet is that of ${other.Name} here`,
    mend: `remove ${other.Name}, or give one of the two another subnet`,
  }));
}

function present(network: NetworkShape, here: InspectedNetwork, container: string): Finding[] {
  const { name, driver, internal, addresses } = network;
  if (here.Driver !== driver || (here.Internal === true) !== internal) {
    const kind = (of: string, isInternal: boolean) => `${isInternal ? 'internal ' : ''}${of}`;
    return [
      differs(
        name,
        `is ${kind(here.Driver, here.Internal === true)} here, and ${kind(driver, internal)} there`,
      ),
    ];
  }
  const subnets = (here.IPAM.Config ?? []).map(({ Subnet }) => Subnet);
  return addresses.flatMap((address) => {
    if (!subnets.some((subnet) => contains(subnet, address))) {
      return [differs(name, `has not the container's address ${address} in its subnet here`)];
    }
    const holder = Object.values(here.Containers ?? {}).find(
      ({ Name, IPv4Address, IPv6Address }) =>
        Name !== container && [IPv4Address, IPv6Address].some((own) => own.split('/')[0] === address),
    );
    if (holder === undefined) return [];
    return [
      {
        code: 'ADDRESS_TAKEN',
        message: `${holder.Name} has its address ${address} in the network ${name} here`,
        mend: 'end that, or give one of the two another address',
      },
    ];
  });
}

function differs(name: string, how: string): Finding {
  return {
    code: 'NETWORK_DIFFERS',
    message: `the network ${name} ${how}`,
    mend: 'make it as it is at the source, or remove it: it is then made',
  };
}

async function linkFindings(api: DockerApi, { name, links }: NetworkShape): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const link of links) {
    const linked = await api.container(link);
    if (linked?.State.Status === 'running' && linked.NetworkSettings.Networks?.[name] !== undefined) continue;
    findings.push({
      code: 'LINK_MISSING',
      message: `it has --link to ${link}, which does not run in the network ${name} here`,
      mend: 'move that first, or use the network instead of links',
    });
  }
  return findings;
}

function contains(subnet: string, address: string): boolean {
  const [net = '', length = ''] = subnet.split('/');
  const family = isIPv4(net) ? 'ipv4' : 'ipv6';
  if (isIPv4(address) !== (family === 'ipv4')) return false;
  const list = new BlockList();
  list.addSubnet(net, Number(length), family);
  return list.check(address, family);
}

/** Subnets are nested or apart. */
function overlap(one: string, other: string): boolean {
  return contains(one, other.split('/')[0] ?? '') || contains(other, one.split('/')[0] ?? '');
}
