/** The fields of a protobuf message, by number; of one that is repeated, the last. */
export type Fields = ReadonlyMap<number, number | Buffer>;

const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field as it stands in a message. */
export interface Field {
  readonly field: number;
  readonly value: number | Buffer;
  /** Where it begins and ends, its tag included. */
  readonly from: number;
  readonly to: number;
}

/** @throws RangeError for what is not a message */
export function fieldsOf(message: Buffer): Fields {
  return new Map(everyField(message).map(({ field, value }) => [field, value]));
}

/** All of a message, in its order. @throws RangeError for what is not a message */
export function everyField(message: Buffer): Field[] {
  const fields: Field[] = [];
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
  const read = (field: number, kind: number) => {
    switch (kind) {
      case Wire.varint:
        return varint();
      case Wire.fixed64:
        return bytes(8);
      case Wire.bytes:
        return bytes(varint());
      case Wire.fixed32:
        return bytes(4);
      default:
        throw new RangeError(`field ${field} is of an unknown kind`);
    }
  };
  while (at < message.length) {
    const from = at;
    const tag = varint();
    const field = Math.floor(tag / 8);
    fields.push({ field, value: read(field, tag % 8), from, to: at });
  }
  return fields;
}

/** A field that is a number, as it stands in a message. */
export function numberField(field: number, value: number): Buffer {
  return Buffer.from([...varintOf(field * 8 + Wire.varint), ...varintOf(value)]);
}

/** A field that is a message or other bytes, as it stands in a message. */
export function bytesField(field: number, value: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([...varintOf(field * 8 + Wire.bytes), ...varintOf(value.length)]),
    value,
  ]);
}

function varintOf(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
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
