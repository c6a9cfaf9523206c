import { HoldfastError } from '../../migrator/errors.ts';

/**
 * What a connection begins with when the one who made it speaks the PROXY protocol, version 2: binary, and of a known length.
 * https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2.
 */
export interface ProxyHeader {
  readonly lengthBytes: number;
  /** Of the client; undefined when the sender speaks for itself (`LOCAL`, as in health checks) or does not know. */
  readonly address: string | undefined;
  /** The client's connection to the sender is encrypted. */
  readonly isTls: boolean;
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED_BYTES = 16;
/** Addresses take up to 216 bytes; the rest is for what a sender adds. */
const MOST_BYTES = 4_096;

const Command = { local: 0x20, proxy: 0x21 } as const;
/** Family and transport, and the bytes of addresses and ports. */
const Family = { unspecified: 0x00, tcp4: 0x11, tcp6: 0x21, unix: 0x31 } as const;
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [Family.unspecified, 0],
  [Family.tcp4, 12],
  [Family.tcp6, 36],
  [Family.unix, 216],
]);
/** A type-length-value with: whether by TLS, in the first bit of its first byte. */
const TYPE_SSL = 0x20;

/**
 * @returns undefined while more bytes are needed to tell
 * @throws HoldfastError `PROXY_HEADER_INVALID` as soon as they cannot become a header
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  const seen = Math.min(bytes.length, SIGNATURE.length);
  if (SIGNATURE.compare(bytes, 0, seen, 0, seen) !== 0) throw noSignature(bytes);
  if (bytes.length < FIXED_BYTES) return undefined;
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const lengthBytes = FIXED_BYTES + bytes.readUInt16BE(14);
  if (command !== Command.local && command !== Command.proxy) {
    throw invalid(`version and command are 0x${command.toString(16)}`);
  }
  if (lengthBytes > MOST_BYTES) throw invalid(`it says to be ${lengthBytes} bytes long`);
  if (bytes.length < lengthBytes) return undefined;
  // What else a sender says of itself is of no interest, and need not make sense.
  if (command === Command.local) return { lengthBytes, address: undefined, isTls: false };
  const addressBytes = ADDRESS_BYTES.get(family);
  if (addressBytes === undefined) throw invalid(`the client's family is 0x${family.toString(16)}`);
  const rest = bytes.subarray(FIXED_BYTES, lengthBytes);
  if (rest.length < addressBytes) throw invalid('it is too short for its addresses');
  const isTls = saysTls(rest.subarray(addressBytes));
  return { lengthBytes, address: addressOf(family, rest), isTls };
}

function addressOf(family: number, bytes: Buffer): string | undefined {
  if (family === Family.tcp4) return bytes.subarray(0, 4).join('.');
  if (family !== Family.tcp6) return undefined;
  const mapped = bytes.subarray(0, 12).equals(MAPPED_IPV4);
  if (mapped) return bytes.subarray(12, 16).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  // Written as everybody writes it, the longest row of zeros left out.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

const MAPPED_IPV4 = Buffer.from('00000000000000000000ffff', 'hex');

function saysTls(bytes: Buffer): boolean {
  let isTls = false;
  for (let at = 0; at < bytes.length; ) {
    const end = at + 3 + (at + 3 <= bytes.length ? bytes.readUInt16BE(at + 1) : 0);
    if (at + 3 > bytes.length || end > bytes.length) throw invalid('what it adds goes beyond its end');
    if (bytes[at] === TYPE_SSL && end > at + 3) isTls = ((bytes[at + 3] ?? 0) & 1) === 1;
    at = end;
  }
  return isTls;
}

function noSignature(bytes: Buffer): HoldfastError {
  const text = bytes.toString('latin1', 0, 6);
  if (text.startsWith('PROXY')) return invalid('it is of version 1', 'have version 2 sent: send-proxy-v2');
  return invalid('the connection begins with something else');
}

function invalid(
  what: string,
  mend = 'have version 2 sent (send-proxy-v2), or take the address out of proxyProtocolFrom',
): HoldfastError {
  return new HoldfastError('PROXY_HEADER_INVALID', `no header of the PROXY protocol: ${what}`, { mend });
}
