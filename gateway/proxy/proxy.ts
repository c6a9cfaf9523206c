import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo, BlockList, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { HoldfastError } from '../../migrator/errors.ts';
import type { Gates } from '../gate/gates.ts';
import { answer, type OwnAnswer } from './answer.ts';
import { Callers } from './callers.ts';
import { Connections } from './connections.ts';
import type { ExchangeContext } from './context.ts';
import { Exchange } from './exchange.ts';
import type { Observer } from './observer.ts';
import { destinationOf, type Forwarded, hasBody } from './request-head.ts';
import { type Route, RouteTable } from './routes.ts';

export interface ClientTimeouts {
  /** From a connection's first byte to the end of a request's head: 408 after that. */
  readonly headTimeoutMs: number;
  /** How long a connection may idle between two requests. */
  readonly keepAliveTimeoutMs: number;
}

export interface ProxyOptions {
  readonly routes: readonly Route[];
  readonly gates: Gates;
  readonly observer: Observer;
  readonly log: Logger;
  readonly forwarded: Forwarded;
  /** Whose connections begin with a header of the PROXY protocol; nobody's when not given. */
  readonly proxiedFrom?: BlockList | undefined;
  readonly timeouts: ClientTimeouts;
}

export interface ReverseProxy {
  readonly server: Server;
  listen(address: { host: string; port: number }): Promise<AddressInfo>;
  /**
   * Accept no more, let what is in flight or held finish until `signal` fires, then destroy it. Upgraded connections
   * have no end of their own and are destroyed with the rest.
   */
  close(signal: AbortSignal): Promise<void>;
}

/** The HTTP/1.1 reverse proxy. Its parser is node's own in its strict mode: what is not plainly HTTP is a 400. */
export function createProxy(options: ProxyOptions): ReverseProxy {
  const { gates, observer, log, forwarded, timeouts } = options;
  const routes = new RouteTable(options.routes);
  const connections = new Connections();
  const callers = new Callers(options.proxiedFrom, log);
  const context: ExchangeContext = { observer, log, connections, callers, forwarded, isClosing: false };

  const serve = (req: IncomingMessage, res: ServerResponse, expectsContinue: boolean, isUpgrade: boolean) => {
    const reject = (own: OwnAnswer, reason: 'no-route' | 'bad-request') => {
      observer.requestRejected('-', reason);
      // The client may or may not send the body it announced.
      if (expectsContinue) res.shouldKeepAlive = false;
      answer(res, own);
    };
    try {
      const destination = destinationOf(req);
      const app = routes.find(destination.host, destination.path);
      if (app === undefined) {
        reject({ status: 404, error: new HoldfastError('NO_ROUTE', 'no app answers here') }, 'no-route');
        return;
      }
      const gate = gates.of(app);
      new Exchange(context, req, res, { app, gate, destination, expectsContinue, isUpgrade }).begin();
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      reject({ status: 400, error }, 'bad-request');
    }
  };

  const server = createServer({
    insecureHTTPParser: false,
    noDelay: true,
    headersTimeout: timeouts.headTimeoutMs,
    keepAliveTimeout: timeouts.keepAliveTimeoutMs,
    // An upload may take as long as it takes, and stands still while its request is held.
    requestTimeout: 0,
  });
  callers.standBefore(server);
  server.on('connection', connections.onConnection);
  server.on('request', (req, res) => serve(req, res, false, false));
  server.on('checkContinue', (req, res) => serve(req, res, true, false));
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    const res = upgradeResponse(req, socket as Socket, head);
    if (hasBody(req)) {
      // Node has stopped parsing: what follows would reach the app as the upgraded protocol's first bytes.
      observer.requestRejected('-', 'bad-request');
      const error = new HoldfastError('BAD_REQUEST', 'a request to upgrade cannot have a body');
      answer(res, { status: 400, error });
    } else {
      serve(req, res, false, true);
    }
  });

  return {
    server,
    async listen({ host, port }) {
      server.listen(port, host);
      await once(server, 'listening');
      return server.address() as AddressInfo;
    },
    async close(signal) {
      context.isClosing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const destroyAll = () => connections.destroyAll();
      if (signal.aborted) destroyAll();
      signal.addEventListener('abort', destroyAll, { once: true });
      try {
        await closed;
      } finally {
        signal.removeEventListener('abort', destroyAll);
      }
    },
  };
}

/**
 * Node hands over an upgrade with the bare socket, all its listeners removed. Until the app has said 101 the answer may
 * be an ordinary one, so it gets a response to write it with, and its client is watched: an unheard 'error' would end
 * the process, and an end nobody reads is never told.
 */
function upgradeResponse(req: IncomingMessage, socket: Socket, head: Buffer): ServerResponse {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  res.assignSocket(socket);
  socket.on('error', () => {});
  socket.on('drain', () => res.emit('drain'));
  if (head.length > 0) socket.unshift(head);
  const watch = () => {
    // Data stays where it is, for the app; an end comes to light only by reading.
    if (socket.readableLength === 0) socket.read();
  };
  const onEnd = () => socket.destroy();
  socket.on('readable', watch);
  socket.on('end', onEnd);
  const unwatch = () => {
    socket.off('readable', watch);
    socket.off('end', onEnd);
  };
  socket.once('pipe', unwatch);
  res.once('finish', () => {
    unwatch();
    socket.destroySoon();
  });
  return res;
}
