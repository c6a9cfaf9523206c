import { readFile } from 'node:fs/promises';
import { openFiles } from './processes.ts';

const ESTABLISHED = '01';
const LISTEN = '0A';
/** Established, or closed by one of its ends only: FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT. */
const CONNECTED: ReadonlySet<string> = new Set([ESTABLISHED, '04', '05', '08']);

interface Socket {
  readonly localPort: number;
  readonly remote: string;
  readonly state: string;
  readonly inode: string;
}

/**
 * Established TCP connections of these processes that did not come in at a port they listen on: those the app has
 * opened itself, also to itself. Told as `ADDRESS:PORT` of the other end.
 */
export async function outboundConnections(pids: readonly number[]): Promise<string[]> {
  const [first] = pids;
  if (first === undefined) return [];
  const inodes = new Set<string>();
  for (const pid of pids) {
    for (const { target } of await openFiles(pid)) {
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  }
  const own = (await tcpSockets(first)).filter((socket) => inodes.has(socket.inode));
  const listening = new Set(own.filter(({ state }) => state === LISTEN).map(({ localPort }) => localPort));
  return own
    .filter(({ state, localPort }) => state === ESTABLISHED && !listening.has(localPort))
    .map(({ remote }) => remote);
}

/** Whether somebody in the network namespace of a process is connected to another one there, by a loopback address. */
export async function hasInnerConnections(pid: number): Promise<boolean> {
  return (await tcpSockets(pid)).some(({ state, remote }) => CONNECTED.has(state) && isLoopback(remote));
}

/** Of what `outboundConnections` tells: in a network namespace of its own, the app itself. */
export function isLoopback(remote: string): boolean {
  return remote.startsWith('127.') || remote.startsWith('[0000:0000:0000:0000:0000:0000:0000:0001]');
}

/** Whether anything in this network namespace listens on the port. */
export async function portTaken(port: number): Promise<boolean> {
  return (await tcpSockets('self')).some(({ state, localPort }) => state === LISTEN && localPort === port);
}

/** The TCP sockets of a process's network namespace, from /proc/PID/net/tcp and tcp6. */
async function tcpSockets(pid: number | 'self'): Promise<Socket[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((table) => readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => '')),
  );
  return tables.flatMap((table) => table.split('\n').slice(1).filter(Boolean).map(parseSocket));
}

function parseSocket(line: string): Socket {
  const [, local = '', remote = '', state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
  return { localPort: portOf(local), remote: `${addressOf(remote)}:${portOf(remote)}`, state, inode };
}

function portOf(end: string): number {
  return Number.parseInt(end.slice(end.lastIndexOf(':') + 1), 16);
}

/** The kernel prints each 32-bit word in the machine's byte order; every machine Node runs on here is little-endian. */
function addressOf(end: string): string {
  const words = end.slice(0, end.lastIndexOf(':')).match(/.{8}/g) ?? [];
  const bytes = words.map((word) => Buffer.from(word, 'hex').reverse());
  const last = bytes.at(-1) ?? Buffer.alloc(4);
  const mapped =
    bytes.length === 4 &&
    Buffer.concat(bytes)
      .toString('hex')
      .startsWith(`${'0'.repeat(20)}ffff`);
  if (bytes.length === 1 || mapped) return [...last].join('.');
  const groups = Buffer.concat(bytes).toString('hex').match(/.{4}/g) ?? [];
  return `[${groups.join(':')}]`;
}
