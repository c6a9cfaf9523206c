import swagger from '@fastify/swagger';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { HoldfastError } from '../../migrator/errors.ts';
import { appRoutes } from './apps.ts';
import type { AdminContext } from './context.ts';
import { answerFailures } from './failures.ts';
import { type GuardOptions, guard } from './guard.ts';
import { migrationRoutes } from './migrations.ts';
import { planRoutes } from './plans.ts';
import { AppReply, ErrorReply, HaproxyReply, HostReply, MigrationReply, PlanReply } from './schemas.ts';
import { statusRoutes } from './status.ts';

const BODY_LIMIT_BYTES = 65_536;
const REQUEST_TIMEOUT_MS = 10_000;
/** Short: a gateway that stops waits for connections that have gone idle since it began to. */
const KEEP_ALIVE_MS = 2_000;

/** The admin API, not yet listening. */
export async function createAdmin(context: AdminContext, options: GuardOptions): Promise<FastifyInstance> {
  const server = Fastify({
    loggerInstance: context.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  guard(server, options);
  takeOrdersInTime(server, context);
  answerFailures(server);
  server.removeContentTypeParser('text/plain');
  for (const schema of [ErrorReply, MigrationReply, PlanReply, AppReply, HaproxyReply, HostReply])
    server.addSchema(schema);
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Holdfast admin API',
        description: 'Move running web containers between hosts, and see where everything runs.',
        version: context.version,
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{}, { token: [] }],
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) => String(schema.$id ?? `def-${index}`),
    },
  });
  migrationRoutes(server, context);
  planRoutes(server, context);
  appRoutes(server, context);
  statusRoutes(server, context);
  return server;
}

function takeOrdersInTime(server: FastifyInstance, { ready, draining }: AdminContext): void {
  server.addHook('onRequest', async (request) => {
    await ready;
    if (draining.aborted && request.method === 'POST') {
      throw new HoldfastError('GATEWAY_STOPPED', 'the gateway is stopping', {
        mend: 'try again when it has been started',
        retryable: true,
      });
    }
  });
}
