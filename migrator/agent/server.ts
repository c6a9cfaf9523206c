import type { TLSSocket } from 'node:tls';
import fastify, { type FastifyError, type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { HoldfastError, toErrorBody } from '../errors.ts';
import { Role, roleOf } from '../pki/role.ts';
import type { TlsMaterial } from '../pki/tls-files.ts';
import { containerRoutes } from './container-routes.ts';
import type { DestinationSide } from './destination.ts';
import type { HostContext } from './host.ts';
import { destinationRoutes, peerRoutes, sourceRoutes, sumRoutes } from './migration-routes.ts';
import { probeRoutes } from './probe-routes.ts';
import type { SourceSide } from './source.ts';

export interface ServerOptions {
  readonly host: string;
  readonly version: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsMaterial;
  readonly log: Logger;
  readonly hostContext: HostContext;
  readonly source: SourceSide;
  readonly destination: DestinationSide;
}

/** The agent's HTTPS server. Whoever shows no certificate of the authority's is gone before HTTP begins. */
export async function createServer(
  options: ServerOptions,
): Promise<{ port: number; close(): Promise<void> }> {
  const { log, tls, listen } = options;
  const app = fastify({
    https: {
      ...tls,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      // A chunk of images at a time rather than 16 KiB.
      highWaterMark: 512 * 1024,
    },
    forceCloseConnections: true,
    // A link may stand ready for as long as the requests in flight take to drain.
    keepAliveTimeout: 120_000,
  }) as unknown as FastifyInstance;
  app.setErrorHandler((error: FastifyError | HoldfastError, request, reply) => {
    const told = translate(error);
    if (!(told instanceof HoldfastError))
      log.error({ ...idsOf(request), err: told }, 'a call failed unexpectedly');
    void reply.code(statusOf(told)).send(toErrorBody(told));
  });
  app.setNotFoundHandler((_request, reply) => {
    void reply
      .code(404)
      .send(toErrorBody(new HoldfastError('CALL_UNKNOWN', 'this agent knows no such call')));
  });
  app.addHook('onError', async (request, _reply, error) => {
    failures.set(request, toErrorBody(translate(error)).code);
  });
  app.addHook('onResponse', async (request, reply) => {
    log.info(
      {
        ...idsOf(request),
        call: `${request.method} ${request.routeOptions.url ?? '?'}`,
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime * 10) / 10,
        ...(failures.has(request) ? { code: failures.get(request) } : {}),
      },
      'call',
    );
  });
  app.server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    log.debug({ from: socket.remoteAddress, code: error.code }, 'a connection without a valid certificate');
  });
  await app.register(async (scope) => {
    only(scope, [Role.gateway]);
    containerRoutes(scope, options);
    sourceRoutes(scope, options.source);
    destinationRoutes(scope, options.destination);
    sumRoutes(scope, options.hostContext);
  });
  await app.register(async (scope) => {
    only(scope, [Role.gateway, Role.agent]);
    peerRoutes(scope, options);
  });
  await app.register(async (scope) => {
    only(scope, [Role.agent]);
    probeRoutes(scope);
  });
  try {
    await app.listen(listen);
  } catch (cause) {
    throw new HoldfastError('LISTEN_FAILED', `${listen.host}:${listen.port} cannot be listened on`, {
      mend: 'see whether another agent runs, or change listen: in agent.yaml',
      cause,
    });
  }
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : listen.port;
  return { port, close: () => app.close() };
}

/** The code of the error a request ended with, for its log line. */
const failures = new WeakMap<FastifyRequest, string>();

function only(scope: FastifyInstance, roles: readonly Role[]): void {
  scope.addHook('onRequest', async (request) => {
    const role = roleOf((request.raw.socket as TLSSocket).getPeerCertificate());
    if (role && roles.includes(role)) return;
    throw new HoldfastError('FORBIDDEN', `a certificate of role ${role ?? 'none'} may not make this call`, {
      mend: 'use a certificate issued with --role gateway',
    });
  });
}

function idsOf(request: FastifyRequest): { migrationId?: string; container?: string } {
  const { id, name } = (request.params ?? {}) as { id?: string; name?: string };
  const { container } = (request.body ?? {}) as { container?: string };
  const told = name ?? container;
  return {
    ...(id === undefined ? {} : { migrationId: id }),
    ...(told === undefined ? {} : { container: told }),
  };
}

/** Fastify's own refusals (a body that is no JSON, or does not fit its schema) in our words. */
function translate(error: FastifyError | HoldfastError): Error {
  if (error instanceof HoldfastError) return error;
  if (error.statusCode === undefined || error.statusCode >= 500) return error;
  return new HoldfastError('REQUEST_INVALID', error.message, {
    mend: 'run the same version of Holdfast everywhere',
    cause: error,
  });
}

function statusOf(error: Error): number {
  if (!(error instanceof HoldfastError)) return 500;
  if (error.code === 'FORBIDDEN') return 403;
  if (error.code === 'REQUEST_INVALID') return 400;
  if (error.code.endsWith('_UNKNOWN')) return 404;
  if (error.retryable) return 503;
  return 409;
}
