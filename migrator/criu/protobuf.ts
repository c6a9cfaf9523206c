/** The fields of a protobuf message, by number; of one that is repeated, the last. */
export type Fields = ReadonlyMap<number, number | Buffer>;

const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** @throws RangeError for what is not a message */
export function fieldsOf(message: Buffer): Fields {
  const fields = new Map<number, number | Buffer>();
  let at = 0;
  // Numbers above 2^53 lose their last digits: none that is read here is as large.
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message.readUInt8(at++);
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const bytes = (length: number) => {
    if (at + length > message.length) throw new RangeError('the message ends too early');
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case Wire.varint:
        fields.set(field, varint());
        break;
      case Wire.fixed64:
        fields.set(field, bytes(8));
        break;
      case Wire.bytes:
        fields.set(field, bytes(varint()));
        break;
      case Wire.fixed32:
        fields.set(field, bytes(4));
        break;
      default:
        throw new RangeError(`field ${field} is of an unknown kind`);
    }
  }
  return fields;
}

/** 0 when it is not there, as protobuf has it. */
export function numberOf(fields: Fields, field: number): number {
  const value = fields.get(field);
  return typeof value === 'number' ? value : 0;
}

/** Nothing when it is not there. */
export function bytesOf(fields: Fields, field: number): Buffer {
  const value = fields.get(field);
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
}
