import { bytesField, bytesOf, everyField, fieldsOf, numberField, numberOf } from './protobuf.ts';

/** The two numbers the image of open files begins with (`IMG_COMMON_MAGIC` and `FILES_MAGIC` in criu/include/magic.h). */
const MAGIC = [0x54564319, 0x56303138] as const;

/** The numbers of the fields in images/fdinfo.proto and images/sk-inet.proto. */
const FileField = { inetSocket: 4 } as const;
const SocketField = {
  protocol: 5,
  state: 6,
  sourcePort: 7,
  targetPort: 8,
  sourceWord: 11,
  targetWord: 12,
  shutdown: 19,
} as const;
const TCP = 6;
const TCP_CLOSE = 7;
const SHUT_BOTH = 3;

interface Connection {
  readonly source: string;
  readonly target: string;
  readonly loopback: boolean;
}

/**
 * `files.img` of a checkpoint with established connections, so changed that only those travel whose both ends are in it, on a
 * loopback address. The others are what `tcp-close` would make of them: sockets without an address, shut down both ways.
 *
 * @throws RangeError for what is not an image of open files
 */
export function closeOuterConnections(image: Buffer): Buffer {
  const files = messagesOf(image);
  const connections = files.map(connectionOf);
  const known = new Set(connections.map((each) => each && `${each.source} ${each.target}`));
  const stays = (each: Connection) => each.loopback && known.has(`${each.target} ${each.source}`);
  const changed = files.map((file, nth) => {
    const connection = connections[nth];
    return connection === undefined || stays(connection) ? file : closed(file);
  });
  return Buffer.concat([image.subarray(0, 8), ...changed.flatMap((file) => [sizeOf(file), file])]);
}

function messagesOf(image: Buffer): Buffer[] {
  if (image.length < 8 || image.readUInt32LE(0) !== MAGIC[0] || image.readUInt32LE(4) !== MAGIC[1]) {
    throw new RangeError('not an image of open files');
  }
  const messages: Buffer[] = [];
  for (let at = 8; at < image.length; ) {
    const end = at + 4 + image.readUInt32LE(at);
    if (end > image.length) throw new RangeError('the image ends too early');
    messages.push(image.subarray(at + 4, end));
    at = end;
  }
  return messages;
}

function sizeOf(message: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(message.length, 0);
  return size;
}

/** Undefined for every file that is not a TCP socket with another end. */
function connectionOf(file: Buffer): Connection | undefined {
  const socket = bytesOf(fieldsOf(file), FileField.inetSocket);
  const fields = fieldsOf(socket);
  const targetPort = numberOf(fields, SocketField.targetPort);
  if (numberOf(fields, SocketField.protocol) !== TCP || targetPort === 0) return undefined;
  const addressOf = (field: number) =>
    plain(everyField(socket).flatMap((each) => (each.field === field ? [Number(each.value)] : [])));
  const [source, target] = [addressOf(SocketField.sourceWord), addressOf(SocketField.targetWord)];
  return {
    source: `${source}:${numberOf(fields, SocketField.sourcePort)}`,
    target: `${target}:${targetPort}`,
    loopback: isLoopback(source) && isLoopback(target),
  };
}

/** Words as the kernel has them, in network order; an IPv4 address the same however it is written. */
function plain(words: readonly number[]): string {
  const bytes = Buffer.concat(
    words.map((word) => {
      const four = Buffer.alloc(4);
      four.writeUInt32LE(word, 0);
      return four;
    }),
  );
  const hex = bytes.toString('hex');
  return hex.replace(/^0{20}ffff/, '');
}

function isLoopback(hex: string): boolean {
  return /^7f.{6}$/.test(hex) || /^0{31}1$/.test(hex);
}

/** Of a field that comes twice the last holds. */
function closed(file: Buffer): Buffer {
  const socket = everyField(file).find(({ field }) => field === FileField.inetSocket);
  if (socket === undefined) return file;
  const value = Buffer.concat([
    bytesOf(fieldsOf(file), FileField.inetSocket),
    numberField(SocketField.state, TCP_CLOSE),
    numberField(SocketField.sourcePort, 0),
    numberField(SocketField.targetPort, 0),
    numberField(SocketField.shutdown, SHUT_BOTH),
  ]);
  return Buffer.concat([
    file.subarray(0, socket.from),
    bytesField(FileField.inetSocket, value),
    file.subarray(socket.to),
  ]);
}
