import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * The front for approaches without a gate: passes each connection on to one target that can be changed, as a
 * load balancer does whose backend is switched. It holds nothing back: where nobody listens the client sees it.
 */
export class Switch {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: { readonly host: string; readonly port: number };

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (client) => this.#pass(client));
  }

  static async listen(
    address: { host: string; port: number },
    target: { host: string; port: number },
  ): Promise<Switch> {
    const made = new Switch(target);
    made.#server.listen(address.port, address.host);
    await once(made.#server, 'listening');
    return made;
  }

  /** From now on to `target`; connections to the old one are closed. */
  flip(target: { host: string; port: number }): void {
    this.#target = target;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #pass(client: Socket): void {
    const upstream = connect({ ...this.#target, noDelay: true });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {}); // 'close' follows, which says all there is to say.
      socket.once('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
