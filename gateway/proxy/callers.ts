import type { Server } from 'node:http';
import type { BlockList, Socket } from 'node:net';
import type { Logger } from 'pino';
import { HoldfastError, toErrorBody } from '../../migrator/errors.ts';
import { isWithin, plainAddress } from '../config/networks.ts';
import { type ProxyHeader, readProxyHeader } from './proxy-header.ts';

/** Who a connection's requests are from. */
export interface Caller {
  readonly address: string;
  readonly scheme: 'http' | 'https';
}

/** It is the first thing a proxy sends, before it knows of any request. */
const HEADER_TIMEOUT_MS = 5_000;

/**
 * Tells who is at the other end of a connection. Those who are trusted to begin theirs with a header of the PROXY protocol
 * must do so: whether there is one may not depend on what comes, or anybody behind them could send it.
 */
export class Callers {
  readonly #from: BlockList | undefined;
  readonly #log: Logger;
  readonly #told = new WeakMap<Socket, ProxyHeader>();

  constructor(from: BlockList | undefined, log: Logger) {
    this.#from = from;
    this.#log = log;
  }

  of(socket: Socket): Caller {
    const told = this.#told.get(socket);
    return {
      address: told?.address ?? plainAddress(socket.remoteAddress),
      scheme: told?.isTls ? 'https' : 'http',
    };
  }

  /** Have the server see connections only behind their headers. */
  standBefore(server: Server): void {
    if (this.#from === undefined) return;
    const from = this.#from;
    const next = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      const pass = () => {
        for (const listener of next) listener.call(server, socket);
      };
      if (isWithin(from, plainAddress(socket.remoteAddress))) this.#read(socket, pass);
      else pass();
    });
  }

  #read(socket: Socket, pass: () => void): void {
    let bytes = Buffer.alloc(0);
    const stop = () => {
      clearTimeout(timer);
      socket.off('readable', onReadable).off('end', onEnd).off('close', stop).off('error', ignore);
    };
    const onReadable = () => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        bytes = Buffer.concat([bytes, chunk]);
      }
      try {
        const header = readProxyHeader(bytes);
        if (header === undefined) return;
        stop();
        this.#told.set(socket, header);
        if (bytes.length > header.lengthBytes) socket.unshift(bytes.subarray(header.lengthBytes));
        pass();
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        stop();
        this.#refuse(socket, error);
      }
    };
    // Whoever only looks whether somebody listens says nothing at all.
    const onEnd = () => socket.destroy();
    const timer = setTimeout(() => {
      stop();
      const late = `it is not there after ${HEADER_TIMEOUT_MS} ms`;
      this.#refuse(
        socket,
        new HoldfastError('PROXY_HEADER_INVALID', `no header of the PROXY protocol: ${late}`),
      );
    }, HEADER_TIMEOUT_MS);
    socket.on('readable', onReadable).on('end', onEnd).on('close', stop).on('error', ignore);
  }

  /** In HTTP: most likely it is a proxy that was set up without the header, and its users shall know. */
  #refuse(socket: Socket, error: HoldfastError): void {
    this.#log.warn({ from: socket.remoteAddress, err: error }, 'a connection was refused');
    const body = `${JSON.stringify(toErrorBody(error))}\n`;
    socket.on('error', ignore);
    socket.end(
      `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
        `Connection: close\r\n\r\n${body}`,
    );
    socket.destroySoon();
  }
}

const ignore = (): void => {};
