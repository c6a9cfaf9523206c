import { BlockList, isIP } from 'node:net';

/**
 * Addresses (`10.0.0.5`, `::1`) and networks (`10.0.0.0/8`) as one list to look addresses up in.
 *
 * @throws RangeError naming what is neither
 */
export function parseNetworks(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [, address = '', prefix] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const version = isIP(address);
    const most = version === 4 ? 32 : 128;
    if (version === 0 || Number(prefix ?? 0) > most) throw new RangeError(`${text} is no address or network`);
    list.addSubnet(address, Number(prefix ?? most), version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

export function isWithin(list: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

/** As a socket that takes both families tells it, without the prefix of IPv4 in IPv6. */
export function plainAddress(address: string | undefined): string {
  return (address ?? 'unknown').replace(/^::ffff:(?=\d+\.)/, '');
}
