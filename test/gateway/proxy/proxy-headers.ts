const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** A header of the PROXY protocol, version 2, as sent: by default the one of a client at 192.0.2.7. */
export function proxyHeader({
  command = 0x21,
  family = 0x11,
  rest = Buffer.concat([Buffer.from([192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 80])]),
  length = rest.length,
  added = Buffer.alloc(0),
}: {
  command?: number;
  family?: number;
  rest?: Buffer;
  /** As it is told, which may be a lie. */
  length?: number;
  /** Type-length-values. */
  added?: Buffer;
} = {}): Buffer {
  const fixed = Buffer.alloc(4);
  fixed.writeUInt8(command, 0);
  fixed.writeUInt8(family, 1);
  fixed.writeUInt16BE(length + added.length, 2);
  return Buffer.concat([SIGNATURE, fixed, rest, added]);
}

export function typeLengthValue(type: number, value: Buffer, length = value.length): Buffer {
  return Buffer.concat([Buffer.from([type, length >> 8, length & 0xff]), value]);
}

/** Two addresses of IPv6 and two ports. */
export function ipv6(address: string): Buffer {
  return Buffer.concat([Buffer.from(address, 'hex'), Buffer.alloc(16), Buffer.from([0x12, 0x34, 0, 80])]);
}
