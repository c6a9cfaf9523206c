import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { PublishedPort } from './docker-settings.ts';

const TCP_LISTEN = '0A';
const ANY_ADDRESS = /^0+$/;

interface Listener {
  readonly protocol: string;
  /** `` for every address; an IPv6 address is not told apart from others. */
  readonly address: string;
  readonly port: number;
}

/** What takes packets on this host, from /proc/net; SCTP has no such table. */
export async function hostListeners(): Promise<Listener[]> {
  const tables = ['tcp', 'tcp6', 'udp', 'udp6'].map(async (table) => {
    const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '');
    const protocol = table.slice(0, 3);
    return text
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => local !== undefined && (protocol === 'udp' || state === TCP_LISTEN))
      .map(([, local = '']) => listener(protocol, local));
  });
  return (await Promise.all(tables)).flat();
}

function listener(protocol: string, local: string): Listener {
  const [address = '', port = ''] = local.split(':');
  return { protocol, address: textOf(address), port: Number.parseInt(port, 16) };
}

/** The kernel prints a 32-bit word in the machine's byte order, which is little-endian wherever Node runs. */
function textOf(address: string): string {
  if (ANY_ADDRESS.test(address)) return '';
  return address.length === 8 ? [...Buffer.from(address, 'hex').reverse()].join('.') : 'IPv6';
}

/** Whether two cannot listen at once. */
export function collide(one: Listener, other: PublishedPort): boolean {
  if (one.protocol !== other.protocol || one.port !== other.port) return false;
  if (one.address === '' || other.address === '' || one.address === other.address) return true;
  return one.address === 'IPv6' && !isIPv4(other.address);
}

/** Whether this host has an address. */
export function isOwnAddress(address: string): boolean {
  if (address === '' || address.startsWith('127.')) return true;
  return Object.values(networkInterfaces()).some((each) => each?.some((own) => own.address === address));
}
