import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PagerOrder, type PagerStatus, parseOrder } from './protocol.ts';

const LONGEST_LINE = 64 * 1024;
const MOST_LISTENERS = 64;
/** For the last word to reach those who listen. */
const FAREWELL_MS = 1_000;

/** Where a pager is spoken to: tells its state to whoever connects and whenever it changes, and takes orders. */
export class Control {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #status: () => PagerStatus;

  private constructor(status: () => PagerStatus, onOrder: (order: PagerOrder) => void) {
    this.#status = status;
    this.#server = createServer((socket) => this.#welcome(socket, onOrder));
    this.#server.maxConnections = MOST_LISTENERS;
  }

  /** The work directory is open to root alone, and so is the socket in it. */
  static async listen(
    file: string,
    options: { status: () => PagerStatus; onOrder: (order: PagerOrder) => void },
  ): Promise<Control> {
    const control = new Control(options.status, options.onOrder);
    control.#server.listen(file);
    await once(control.#server, 'listening');
    return control;
  }

  /** Tell everybody. */
  tell(): void {
    for (const socket of this.#sockets) socket.write(this.#line());
  }

  /** Tell everybody, and speak to nobody any more. */
  async close(): Promise<void> {
    this.#server.close();
    const gone = [...this.#sockets].map((socket) => once(socket, 'close').catch(() => {}));
    for (const socket of this.#sockets) socket.end(this.#line());
    await Promise.race([Promise.all(gone), sleep(FAREWELL_MS)]);
  }

  #welcome(socket: Socket, onOrder: (order: PagerOrder) => void): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // Whoever listened has gone.
    socket.once('close', () => this.#sockets.delete(socket));
    socket.setEncoding('utf8');
    let rest = '';
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      try {
        if (rest.length > LONGEST_LINE) parseOrder('');
        for (const line of lines) onOrder(parseOrder(line));
      } catch {
        socket.destroy();
      }
    });
    socket.write(this.#line());
  }

  #line(): string {
    return `${JSON.stringify(this.#status())}\n`;
  }
}
