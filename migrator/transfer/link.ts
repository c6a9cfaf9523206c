import { type ClientRequest, request as httpRequest } from 'node:http';
import { isIP, type Socket, connect as tcpConnect } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { TlsMaterial } from '../pki/tls-files.ts';
import { linkBroken } from './errors.ts';

interface Connection {
  readonly raw: Socket;
  readonly secure: TLSSocket;
}

/**
 * One TLS connection to another agent, opened before it is needed and opened anew when it broke meanwhile.
 * Requests on it go one after another.
 */
export class Link {
  readonly peer: string;
  readonly #url: URL;
  readonly #tls: TlsMaterial;
  #connection: Connection | undefined;
  #earlierBytes = 0;
  #earlierReceivedBytes = 0;

  constructor(options: { url: string; tls: TlsMaterial }) {
    this.#url = new URL(options.url);
    this.#tls = options.tls;
    this.peer = this.#url.host;
  }

  /** Bytes this end put on the wire on all its connections: handshakes and TLS records included. */
  get bytesSent(): number {
    return this.#earlierBytes + (this.#connection?.raw.bytesWritten ?? 0);
  }

  /** Bytes that came, likewise. */
  get bytesReceived(): number {
    return this.#earlierReceivedBytes + (this.#connection?.raw.bytesRead ?? 0);
  }

  get isOpen(): boolean {
    const secure = this.#connection?.secure;
    return secure !== undefined && !secure.destroyed && secure.writable && !secure.readableEnded;
  }

  /** Settles when there is a connection. @throws HoldfastError `LINK_BROKEN` when it cannot be made */
  async open(signal: AbortSignal): Promise<void> {
    if (this.isOpen) return;
    this.close();
    signal.throwIfAborted();
    const host = this.#url.hostname.replace(/^\[|\]$/g, '');
    const raw = tcpConnect({ host, port: Number(this.#url.port || 443), noDelay: true });
    const secure = tlsConnect({
      socket: raw,
      host, // The certificate must name it.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...this.#tls,
      minVersion: 'TLSv1.3',
    });
    this.#connection = { raw, secure };
    const abandon = () => secure.destroy(signal.reason as Error);
    signal.addEventListener('abort', abandon, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        secure.once('secureConnect', resolve);
        secure.once('error', reject);
        raw.once('error', reject);
        secure.once('close', () => reject(new Error('closed during the handshake')));
      });
      // A connection that breaks while nobody uses it is noticed by whoever uses it next.
      secure.on('error', () => {});
      raw.on('error', () => {});
    } catch (error) {
      this.close();
      signal.throwIfAborted();
      throw linkBroken(this.peer, error);
    } finally {
      signal.removeEventListener('abort', abandon);
    }
  }

  /** Begin a request on the open connection. The caller ends or destroys it, and listens for its errors. */
  request(
    method: 'GET' | 'PUT' | 'POST',
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): ClientRequest {
    const secure = this.#connection?.secure;
    if (!secure || !this.isOpen) throw linkBroken(this.peer, 'not open');
    return httpRequest({
      method,
      path,
      headers: { host: this.#url.host, connection: 'keep-alive', ...headers },
      createConnection: () => secure,
    });
  }

  /** Ask for a JSON document. @throws HoldfastError `LINK_BROKEN` */
  async getJson(path: string, signal: AbortSignal): Promise<{ statusCode: number; body: unknown }> {
    const request = this.request('GET', path);
    const abandon = () => request.destroy(signal.reason as Error);
    signal.addEventListener('abort', abandon, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        request.once('error', reject);
        request.once('response', (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (part: string) => {
            text += part;
          });
          response.once('error', reject);
          response.once('end', () => {
            try {
              resolve({ statusCode: response.statusCode ?? 0, body: JSON.parse(text) });
            } catch (error) {
              reject(error);
            }
          });
        });
        request.end();
      });
    } catch (error) {
      this.close();
      signal.throwIfAborted();
      throw linkBroken(this.peer, error);
    } finally {
      signal.removeEventListener('abort', abandon);
    }
  }

  close(): void {
    const connection = this.#connection;
    if (!connection) return;
    this.#earlierBytes += connection.raw.bytesWritten;
    this.#earlierReceivedBytes += connection.raw.bytesRead;
    this.#connection = undefined;
    connection.secure.destroy();
    connection.raw.destroy();
  }
}
