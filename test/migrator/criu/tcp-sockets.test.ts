import t from 'tap';
import { closeOuterConnections } from '../../../migrator/criu/tcp-sockets.ts';

interface Socket {
  readonly source: readonly [address: string, port: number];
  readonly target: readonly [address: string, port: number];
  readonly protocol?: number;
}

const ESTABLISHED = 1;
const CLOSE = 7;

/** `files.img` as CRIU 4.2 writes it, reduced to a file that is no socket and these sockets. */
function image(sockets: readonly Socket[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x54564319, 0);
  head.writeUInt32LE(0x56303138, 4);
  const regular = Buffer.concat([number(1, 1), number(2, 1), bytes(3, number(1, 17))]);
  const files = [regular, ...sockets.map((socket, nth) => inetFile(socket, nth + 2))];
  return Buffer.concat([head, ...files.flatMap((file) => [uint32(file.length), file])]);
}

function inetFile({ source, target, protocol = 6 }: Socket, id: number): Buffer {
  const words = ([address]: Socket['source']) => wordsOf(address);
  const socket = Buffer.concat([
    ...[number(1, id), number(2, 1_000 + id), number(3, source[0].includes(':') ? 10 : 2), number(4, 1)],
    ...[number(5, protocol), number(6, ESTABLISHED), number(7, source[1]), number(8, target[1])],
    ...[number(9, 2), number(10, 0)],
    ...words(source).map((word) => number(11, word)),
    ...words(target).map((word) => number(12, word)),
    bytes(14, number(1, 212_992)),
  ]);
  return Buffer.concat([number(1, 2), number(2, id), bytes(4, socket)]);
}

/** As the kernel has them: bytes in network order, read as a little-endian machine reads them. */
function wordsOf(address: string): number[] {
  const raw = address.includes(':')
    ? Buffer.from(address.replaceAll(':', ''), 'hex')
    : Buffer.from(address.split('.').map(Number));
  return Array.from({ length: raw.length / 4 }, (_, nth) => raw.readUInt32LE(nth * 4));
}

const uint32 = (value: number) => {
  const four = Buffer.alloc(4);
  four.writeUInt32LE(value);
  return four;
};
const number = (field: number, value: number) => Buffer.from([...varint(field * 8), ...varint(value)]);
const bytes = (field: number, value: Buffer) =>
  Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(value.length)]), value]);

function varint(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return [...out, rest];
}

/** What CRIU reads of each socket: state, ports, and which ways it is shut down. Of a field that comes twice the last holds. */
function socketsOf(files: Buffer): { state: number; ports: number[]; shutdown: number }[] {
  const found = [];
  for (let at = 8; at < files.length; ) {
    const size = files.readUInt32LE(at);
    const socket = fieldsOf(files.subarray(at + 4, at + 4 + size)).get(4);
    at += 4 + size;
    if (!Buffer.isBuffer(socket)) continue;
    const fields = fieldsOf(socket);
    const numberAt = (field: number) => Number(fields.get(field) ?? 0);
    found.push({ state: numberAt(6), ports: [numberAt(7), numberAt(8)], shutdown: numberAt(19) });
  }
  return found;
}

function fieldsOf(message: Buffer): Map<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>();
  let at = 0;
  const next = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = next();
    const value = next();
    if (tag % 8 === 0) fields.set(Math.floor(tag / 8), value);
    else {
      fields.set(Math.floor(tag / 8), message.subarray(at, at + value));
      at += value;
    }
  }
  return fields;
}

const open = (source: number, target: number) => ({
  state: ESTABLISHED,
  ports: [source, target],
  shutdown: 0,
});
const closed = { state: CLOSE, ports: [0, 0], shutdown: 3 };

t.test('a connection whose both ends are in the checkpoint is left as it is', async (t) => {
  const before = image([
    { source: ['127.0.0.1', 40_000], target: ['127.0.0.1', 6379] },
    { source: ['127.0.0.1', 6379], target: ['127.0.0.1', 40_000] },
  ]);
  t.ok(closeOuterConnections(before).equals(before));
});

t.test('its ends may be written as IPv4 and as IPv6', async (t) => {
  const before = image([
    { source: ['127.0.0.1', 40_000], target: ['127.0.0.1', 6379] },
    {
      source: ['0000:0000:0000:0000:0000:ffff:7f00:0001', 6379],
      target: ['0000:0000:0000:0000:0000:ffff:7f00:0001', 40_000],
    },
    {
      source: ['0000:0000:0000:0000:0000:0000:0000:0001', 1],
      target: ['0000:0000:0000:0000:0000:0000:0000:0001', 2],
    },
    {
      source: ['0000:0000:0000:0000:0000:0000:0000:0001', 2],
      target: ['0000:0000:0000:0000:0000:0000:0000:0001', 1],
    },
  ]);
  t.ok(closeOuterConnections(before).equals(before));
});

t.test('what has its other end elsewhere is closed both ways and has no address', async (t) => {
  const sockets = socketsOf(
    closeOuterConnections(
      image([
        { source: ['172.17.0.2', 8080], target: ['172.17.0.1', 50_000] },
        { source: ['127.0.0.1', 40_000], target: ['127.0.0.1', 6379] },
        { source: ['127.0.0.1', 6379], target: ['127.0.0.1', 40_000] },
        { source: ['127.0.0.1', 40_001], target: ['127.0.0.1', 6379] },
        { source: ['172.17.0.2', 40_002], target: ['172.17.0.2', 6379] },
        { source: ['172.17.0.2', 6379], target: ['172.17.0.2', 40_002] },
      ]),
    ),
  );
  t.same(
    sockets,
    [closed, open(40_000, 6379), open(6379, 40_000), closed, closed, closed],
    'also one that nobody has taken yet, and one by an address that is not the same elsewhere',
  );
});

t.test('what listens, and what is not TCP, is left as it is', async (t) => {
  const before = image([
    { source: ['127.0.0.1', 6379], target: ['0.0.0.0', 0] },
    { source: ['172.17.0.2', 5000], target: ['8.8.8.8', 53], protocol: 17 },
  ]);
  t.ok(closeOuterConnections(before).equals(before));
});

t.test('what is no image of open files, or is cut short, is not understood', async (t) => {
  const whole = image([{ source: ['127.0.0.1', 1], target: ['127.0.0.1', 2] }]);
  for (const image of [Buffer.alloc(0), Buffer.alloc(64), whole.subarray(0, whole.length - 3)]) {
    t.throws(() => closeOuterConnections(image), RangeError);
  }
});
