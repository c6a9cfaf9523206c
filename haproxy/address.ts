import { isIPv6 } from 'node:net';
import { HoldfastError } from '../migrator/errors.ts';

/** Where a HAProxy takes commands: a Unix socket, or an address and a port. */
export type RuntimeAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const HOST_AND_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/;

/**
 * `/run/haproxy/admin.sock`, `127.0.0.1:9999` or `[::1]:9999`.
 *
 * @throws HoldfastError `HAPROXY_ADDRESS_INVALID`
 */
export function parseRuntimeAddress(text: string): RuntimeAddress {
  if (text.startsWith('/')) return { path: text };
  const [, inBrackets, plain, port] = HOST_AND_PORT.exec(text) ?? [];
  const host = inBrackets ?? plain;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new HoldfastError('HAPROXY_ADDRESS_INVALID', `${text} is no address of a runtime socket`, {
      mend: 'give an absolute path, ADDRESS:PORT or [ADDRESS]:PORT',
    });
  }
  return { host, port: Number(port) };
}

export function formatRuntimeAddress(address: RuntimeAddress): string {
  if ('path' in address) return address.path;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}
