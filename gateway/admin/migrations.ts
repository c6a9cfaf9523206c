import { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { anySignal } from '../../migrator/any-signal.ts';
import { HoldfastError } from '../../migrator/errors.ts';
import type { AdminContext } from './context.ts';
import { encodeEvents } from './event-stream.ts';
import { MigrationOrder, MigrationParams } from './schemas.ts';

const EventsHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ pattern: '^[0-9]{1,9}$', description: 'Go on after this event of a stream that was cut.' }),
  ),
});

export function migrationRoutes(server: FastifyInstance, context: AdminContext): void {
  const { migrations, apps, stopping } = context;

  server.post<{ Body: MigrationOrder }>(
    '/v1/migrations',
    {
      schema: {
        summary: 'Move an app to another host',
        body: MigrationOrder,
        response: { 202: Type.Ref('Migration'), default: Type.Ref('Error') },
      },
    },
    async (request, reply) => {
      apps.assertMovable(request.body.app);
      const record = await migrations.order(request.body);
      return reply.status(202).header('location', `/v1/migrations/${record.id}`).send(record);
    },
  );

  server.get(
    '/v1/migrations',
    {
      schema: {
        summary: 'Every migration remembered, newest first',
        response: {
          200: Type.Object({ migrations: Type.Array(Type.Ref('Migration')) }),
          default: Type.Ref('Error'),
        },
      },
    },
    async () => ({ migrations: migrations.list() }),
  );

  server.get<{ Params: MigrationParams }>(
    '/v1/migrations/:id',
    {
      schema: {
        summary: 'One migration',
        params: MigrationParams,
        response: { 200: Type.Ref('Migration'), default: Type.Ref('Error') },
      },
    },
    async (request) => {
      const record = migrations.get(request.params.id);
      if (record === undefined) throw unknown(request.params.id);
      return record;
    },
  );

  server.get<{ Params: MigrationParams; Headers: { 'last-event-id'?: string } }>(
    '/v1/migrations/:id/events',
    {
      schema: {
        summary: 'Follow a migration: server-sent events from the first one on, until it has ended',
        params: MigrationParams,
        headers: EventsHeaders,
        response: {
          200: {
            description: 'The stream; the data of each event is a JSON object.',
            content: { 'text/event-stream': { schema: { type: 'string' } } },
          },
          default: Type.Ref('Error'),
        },
      },
    },
    async (request, reply) => {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const events = migrations.events(request.params.id, anySignal([gone.signal, stopping]));
      if (events === undefined) throw unknown(request.params.id);
      const after = Number(request.headers['last-event-id'] ?? 0);
      return reply
        .header('content-type', 'text/event-stream')
        .header('cache-control', 'no-store')
        .header('connection', 'close') // A stream that ends because the gateway stops must not keep it waiting.
        .send(Readable.from(encodeEvents(events, after)));
    },
  );
}

function unknown(id: string): HoldfastError {
  return new HoldfastError('MIGRATION_UNKNOWN', `no migration has the id ${id}`, {
    mend: 'GET /v1/migrations lists those that are remembered',
  });
}
