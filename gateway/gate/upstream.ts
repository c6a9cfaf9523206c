import type { Socket } from 'node:net';
import { buildConnector, type Dispatcher, Pool } from 'undici';

export interface UpstreamTimeouts {
  readonly connectTimeoutMs: number;
  /** From the request being sent whole to the head of the answer. */
  readonly headTimeoutMs: number;
  /** Between two pieces of an answer's body, while the client takes them. */
  readonly bodyTimeoutMs: number;
}

/** How long an app may take to close its end of an idle connection before the connection is reset. */
const GOODBYE_MS = 250;
/**
 * How long a connection may be idle and still be used again, unless the app tells by `Keep-Alive` what it allows. Less than
 * apps do by themselves (gunicorn: two seconds): a request that meets the app's close is lost, and only a safe one is repeated.
 */
const IDLE_MS = 1_000;

/** A connection opened ahead of the request that will use it. */
interface Spare {
  socket: Socket | undefined;
  failed: boolean;
  taker: buildConnector.Callback | undefined;
}

/** The connections to one origin. The gate owns them, because a hold ends only when the last of them is closed. */
export class Upstream {
  readonly url: string;
  readonly #pool: Pool;
  readonly #connect: buildConnector.connector;
  readonly #onUnreachable: () => void;
  readonly #sockets = new Set<Socket>();
  readonly #spares: Spare[] = [];
  #onLastClosed: (() => void) | undefined = undefined;

  /** @param onUnreachable called whenever no connection could be made */
  constructor(url: string, timeouts: UpstreamTimeouts, onUnreachable: () => void = () => {}) {
    this.url = url;
    this.#onUnreachable = onUnreachable;
    this.#connect = buildConnector({ timeout: timeouts.connectTimeoutMs });
    this.#pool = new Pool(url, {
      connect: (options, callback) => this.#takeOrConnect(options, callback),
      headersTimeout: timeouts.headTimeoutMs,
      bodyTimeout: timeouts.bodyTimeoutMs,
      keepAliveTimeout: IDLE_MS,
    });
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(options, handler);
  }

  /**
   * Open `count` connections side by side. A release sends strictly in order, each request after the one before it is
   * on the wire; without this it would pay one round trip for each connection, one after the other.
   */
  warm(count: number): void {
    const { protocol, host, hostname, port } = new URL(this.url);
    const options = { protocol, host, hostname: hostname.replace(/^\[|\]$/g, ''), port };
    for (let i = 0; i < count; i += 1) {
      const spare: Spare = { socket: undefined, failed: false, taker: undefined };
      this.#spares.push(spare);
      this.#connectTracked(options, (...[error, socket]: buildConnector.CallbackArgs) => {
        if (spare.taker) {
          if (error) spare.taker(error, null);
          else spare.taker(null, socket);
        } else if (!this.#spares.includes(spare)) {
          // On its way when the others were closed. One that has a taker lives on: its request is in flight.
          socket?.destroy();
        } else if (error) {
          spare.failed = true;
        } else {
          spare.socket = socket;
        }
      });
    }
  }

  /** Close those that nobody has taken: an app may keep a thread waiting on each, and closes them when it likes. */
  cool(): void {
    for (const spare of this.#spares.splice(0)) spare.socket?.destroy();
  }

  /**
   * Close every connection, and wait until the app has closed its end too: what it was sent it has then read, and a
   * checkpoint finds no socket of ours. To be called when nothing is in flight.
   */
  async close(): Promise<void> {
    for (const spare of this.#spares.splice(0)) spare.socket?.resetAndDestroy();
    for (const socket of this.#sockets) socket.end();
    if (this.#sockets.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, GOODBYE_MS);
        this.#onLastClosed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      for (const socket of this.#sockets) socket.resetAndDestroy();
    }
    await this.#pool.destroy();
  }

  /** Let what is in flight finish, then close. */
  async retire(): Promise<void> {
    this.cool();
    // It rejects only when the pool was destroyed meanwhile, which is as good.
    await this.#pool.close().catch(() => {});
  }

  #takeOrConnect(options: buildConnector.Options, callback: buildConnector.Callback): void {
    for (let spare = this.#spares.shift(); spare; spare = this.#spares.shift()) {
      const { socket } = spare;
      if (spare.failed || socket?.destroyed) continue;
      // undici must not be called back before its connect call has returned: it would never write the request.
      if (socket) queueMicrotask(() => callback(null, socket));
      else spare.taker = callback;
      return;
    }
    this.#connectTracked(options, callback);
  }

  #connectTracked(options: buildConnector.Options, callback: buildConnector.Callback): void {
    this.#connect(options, (...[error, socket]: buildConnector.CallbackArgs) => {
      if (error) {
        this.#onUnreachable();
        callback(error, null);
        return;
      }
      this.#sockets.add(socket);
      // A spare has nobody else to listen, and an unheard error would end the process. 'close' follows and tells.
      socket.on('error', () => {});
      socket.once('close', () => {
        this.#sockets.delete(socket);
        if (this.#sockets.size === 0) this.#onLastClosed?.();
      });
      callback(null, socket);
    });
  }
}
