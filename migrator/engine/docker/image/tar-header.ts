/** POSIX's ustar and pax formats (IEEE Std 1003.1, pax), as far as plain files need them. */

export const BLOCK_BYTES = 512;
const NAME = { at: 0, length: 100 };
const MODE = { at: 100, length: 8 };
const SIZE = { at: 124, length: 12 };
const CHECKSUM = { at: 148, length: 8 };
const TYPE_AT = 156;
const MAGIC = { at: 257, length: 5 };
const PREFIX = { at: 345, length: 155 };
/** The largest size that fits into eleven octal digits. */
const MOST_OCTAL = 0o77777777777;

interface Field {
  readonly at: number;
  readonly length: number;
}

export const FileType = { file: '0', paxRecords: 'x' } as const;

export interface TarHeader {
  readonly name: string;
  readonly sizeBytes: number;
  /** One of `FileType`, or something else. */
  readonly type: string;
}

/** @throws Error for a block that is no header */
export function decodeTarHeader(block: Buffer): TarHeader {
  const magic = text(block, MAGIC);
  const checksum = Number.parseInt(text(block, CHECKSUM).trim(), 8);
  if (magic !== 'ustar' || checksum !== checksumOf(block)) throw new Error('not a tar header');
  const prefix = text(block, PREFIX);
  const name = text(block, NAME);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    sizeBytes: sizeOf(block),
    type: block[TYPE_AT] === 0 ? FileType.file : String.fromCharCode(block[TYPE_AT] ?? 0),
  };
}

/** @param name at most 100 bytes of ASCII */
export function encodeTarHeader(name: string, sizeBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, NAME.at, NAME.length, 'latin1');
  block.write('0000644', MODE.at);
  // Beyond eleven digits, a number stands there in binary, marked by its highest bit.
  if (sizeBytes <= MOST_OCTAL) block.write(sizeBytes.toString(8).padStart(11, '0'), SIZE.at);
  else {
    block[SIZE.at] = 0x80;
    block.writeBigUInt64BE(BigInt(sizeBytes), SIZE.at + SIZE.length - 8);
  }
  block.write(FileType.file, TYPE_AT);
  block.write('ustar\u000000', MAGIC.at, 'latin1');
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, CHECKSUM.at, 'latin1');
  return block;
}

/** What pax records say of the file after them. Each is `LENGTH KEY=VALUE\n`, its length counted in. */
export function decodePax(records: Buffer): { name?: string; sizeBytes?: number } {
  const said: { name?: string; sizeBytes?: number } = {};
  for (let at = 0; at < records.length; ) {
    const space = records.indexOf(' ', at);
    const length = Number(records.toString('latin1', at, space));
    if (space < 0 || !(length > space - at + 1)) throw new Error('pax records that make no sense');
    const record = records.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === 'path') said.name = value;
    if (key === 'size') said.sizeBytes = Number(value);
    at += length;
  }
  return said;
}

/** What follows a file's bytes, up to the next block. */
export function paddingOf(sizeBytes: number): number {
  return -sizeBytes & (BLOCK_BYTES - 1);
}

function text(block: Buffer, { at, length }: Field): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 ? at + length : Math.min(end, at + length));
}

function sizeOf(block: Buffer): number {
  const isBinary = ((block[SIZE.at] ?? 0) & 0x80) !== 0;
  if (isBinary) return Number(block.readBigUInt64BE(SIZE.at + SIZE.length - 8));
  return Number.parseInt(text(block, SIZE).trim(), 8);
}

/** The sum of all bytes, those of the sum itself taken for spaces. */
function checksumOf(block: Buffer): number {
  let sum = CHECKSUM.length * 0x20;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    if (at < CHECKSUM.at || at >= CHECKSUM.at + CHECKSUM.length) sum += block[at] ?? 0;
  }
  return sum;
}
