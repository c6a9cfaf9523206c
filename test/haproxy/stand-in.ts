import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Whatever a test wants to be at the other end of a runtime socket, told each line that comes. */
export class StandIn {
  readonly address: { readonly path: string };
  /** Connections made until now. */
  connections = 0;
  readonly #dir: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(
    dir: string,
    onLine: (line: string, socket: Socket) => void,
    onConnect: (s: Socket) => void,
  ) {
    this.#dir = dir;
    this.address = { path: path.join(dir, 'admin.sock') };
    this.#server = createServer((socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
      onConnect(socket);
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) onLine(line, socket);
      });
    });
  }

  static async listen(
    onLine: (line: string, socket: Socket) => void,
    onConnect: (socket: Socket) => void = () => {},
  ): Promise<StandIn> {
    const standIn = new StandIn(await mkdtemp(path.join(tmpdir(), 'holdfast-stand-in-')), onLine, onConnect);
    standIn.#server.listen(standIn.address.path);
    await once(standIn.#server, 'listening');
    return standIn;
  }

  /** Close what is open, as HAProxy does with connections idle for too long. */
  dropAll(): void {
    for (const socket of this.#sockets) socket.end();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** Write byte by byte, each a packet of its own as far as anybody can see to that. */
export async function trickle(socket: Socket, text: string): Promise<void> {
  for (const byte of Buffer.from(text)) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
