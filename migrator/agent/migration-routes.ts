import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { toErrorBody } from '../errors.ts';
import { codecs } from '../transfer/codec.ts';
import { Traffic } from '../transfer/traffic.ts';
import type { DestinationSide } from './destination.ts';
import type { HostContext } from './host.ts';
import {
  AdmitRequest,
  ConnectRequest,
  DumpRequest,
  ExamineRequest,
  PrepareRequest,
  RestoreRequest,
  Upload,
} from './protocol.ts';
import type { SourceSide } from './source.ts';
import { rangeSums, sums } from './sums.ts';

/** A migration's id is a file's name here. */
const MigrationParams = Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$' }) });
const UploadParams = Type.Object({ ...MigrationParams.properties, what: Type.Enum(Upload) });
const StreamParams = Type.Object({
  ...MigrationParams.properties,
  what: Type.String({ pattern: '^[a-z0-9-]{1,64}$' }),
});
type StreamParams = Static<typeof StreamParams>;
const SumParams = Type.Object({ ...MigrationParams.properties, pid: Type.Integer({ minimum: 1 }) });
type SumParams = Static<typeof SumParams>;
const schema = { params: MigrationParams };
/** Whether somebody waits for the pages. */
const MemoryQuery = Type.Object({ urgent: Type.Optional(Type.Boolean()) });
interface MemoryQuery {
  Querystring: Static<typeof MemoryQuery>;
}
interface Params {
  Params: { id: string };
}
interface UploadParams {
  Params: { id: string; what: Upload };
}

export function sourceRoutes(app: FastifyInstance, source: SourceSide): void {
  app.post<Params & { Body: ExamineRequest }>(
    '/v1/migrations/:id/examine',
    { schema: { ...schema, body: ExamineRequest } },
    ({ params, body }) => source.examine(params.id, body.container),
  );
  app.post<Params & { Body: ConnectRequest }>(
    '/v1/migrations/:id/connect',
    { schema: { ...schema, body: ConnectRequest } },
    async ({ params, body }) => {
      const { container, to: url, limitRateBps } = body;
      await source.connect(params.id, container, { url, limitRateBps });
      return {};
    },
  );
  app.post<Params>('/v1/migrations/:id/bring', { schema }, ({ params }) => source.bring(params.id));
  app.post<Params>('/v1/migrations/:id/get-ready', { schema }, ({ params }) => source.getReady(params.id));
  app.post<Params>('/v1/migrations/:id/pre-copy', { schema }, ({ params }) => source.preCopy(params.id));
  app.post<Params>('/v1/migrations/:id/freeze', { schema }, ({ params }) =>
    source.freeze(params.id, performance.now()),
  );
  app.post<Params>('/v1/migrations/:id/send', { schema }, ({ params }) => source.send(params.id));
  app.post<Params & { Body: DumpRequest }>(
    '/v1/migrations/:id/dump',
    { schema: { ...schema, body: DumpRequest } },
    async ({ params, body }) => {
      await source.dump(params.id, body.memory);
      return {};
    },
  );
  step(app, 'thaw', (id) => source.thaw(id));
  step(app, 'finish', (id) => source.finish(id));
}

export function destinationRoutes(app: FastifyInstance, destination: DestinationSide): void {
  app.post<Params & { Body: AdmitRequest }>(
    '/v1/migrations/:id/admit',
    { schema: { ...schema, body: AdmitRequest } },
    ({ params, body }) => destination.admit(params.id, body.container, body.footprint),
  );
  app.post<Params & { Body: PrepareRequest }>(
    '/v1/migrations/:id/prepare',
    { schema: { ...schema, body: PrepareRequest } },
    async ({ params, body }) => {
      await destination.prepare(params.id, body.container, body.leaseMs, body.pagesFrom);
      return {};
    },
  );
  app.post<Params & { Body: RestoreRequest }>(
    '/v1/migrations/:id/restore',
    { schema: { ...schema, body: RestoreRequest } },
    ({ params, body }) => destination.restore(params.id, body.frozen),
  );
  step(app, 'stand-by', (id) => destination.standBy(id));
  app.post<Params>('/v1/migrations/:id/resume', { schema }, ({ params }) => destination.resume(params.id));
  step(app, 'health', (id) => destination.health(id));
  step(app, 'commit', (id) => destination.commit(id));
  app.post<Params>('/v1/migrations/:id/page-in', { schema }, ({ params }) => destination.pageIn(params.id));
  step(app, 'discard', (id) => destination.discard(id));
}

/** What either side can be asked. */
export function sumRoutes(app: FastifyInstance, host: HostContext): void {
  app.post<Params>('/v1/migrations/:id/sums', { schema }, ({ params }) => sums(host, params.id));
  app.post<{ Params: SumParams }>(
    '/v1/migrations/:id/sums/:pid',
    { schema: { params: SumParams } },
    ({ params }) => rangeSums(host, params.id, params.pid),
  );
}

/** The only calls one agent makes to another. */
export function peerRoutes(
  app: FastifyInstance,
  {
    source,
    destination,
    log,
  }: { source: SourceSide; destination: DestinationSide; log: Pick<Logger, 'warn'> },
): void {
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null));
  app.get<Params>('/v1/migrations/:id/images', { schema }, async ({ params }) => {
    const { keepBytes } = destination.offer(params.id);
    return { encodings: codecs.map(({ encoding }) => encoding), keepBytes };
  });
  app.put<UploadParams>(
    '/v1/migrations/:id/:what',
    { schema: { params: UploadParams } },
    async (request, reply) => {
      const { id, what } = request.params;
      destination.offer(id);
      // From here on the answer is a stream of its own, which tells failures as well.
      reply.hijack();
      try {
        await destination.receive(id, what, request.raw, reply.raw);
      } catch (error) {
        log.warn({ migrationId: id, error: toErrorBody(error) }, `${what} did not arrive`);
        if (!reply.raw.headersSent) reply.raw.destroy();
      }
    },
  );
  app.post<{ Params: StreamParams }>(
    '/v1/migrations/:id/belongings/:what',
    { schema: { params: StreamParams } },
    async (request, reply) => {
      const { id, what } = request.params;
      destination.takingIn.refuseUnlessAwaited(id);
      reply.hijack();
      try {
        await destination.takingIn.take(id, what, request.raw, reply.raw);
      } catch (error) {
        log.warn({ migrationId: id, error: toErrorBody(error) }, `${what} was not taken in`);
        if (!reply.raw.headersSent) reply.raw.destroy();
      }
    },
  );
  const querystring = MemoryQuery;
  app.post<Params & MemoryQuery>(
    '/v1/migrations/:id/memory',
    { schema: { ...schema, querystring } },
    async (request, reply) => {
      const { id } = request.params;
      const traffic = request.query.urgent ? Traffic.faults : Traffic.memory;
      source.refuseUnlessFrozen(id);
      reply.hijack();
      try {
        await source.memory(id, traffic, request.raw, reply.raw);
      } catch (error) {
        log.warn({ migrationId: id, error: toErrorBody(error) }, 'an answer for memory broke off');
        if (!reply.raw.headersSent) reply.raw.destroy();
      }
    },
  );
}

function step(app: FastifyInstance, name: string, make: (id: string) => Promise<void>): void {
  app.post<Params>(`/v1/migrations/:id/${name}`, { schema }, async ({ params }) => {
    await make(params.id);
    return {};
  });
}
