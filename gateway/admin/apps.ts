import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { AdminContext } from './context.ts';
import { AppParams, type AppReply, StartOrder, StopOrder } from './schemas.ts';

export function appRoutes(server: FastifyInstance, context: AdminContext): void {
  const { apps } = context;

  server.get(
    '/v1/apps',
    {
      schema: {
        summary: 'Every app: where it runs, and what stands at its gate',
        response: { 200: Type.Object({ apps: Type.Array(Type.Ref('App')) }), default: Type.Ref('Error') },
      },
    },
    async () => ({ apps: describeApps(context) }),
  );

  server.get<{ Params: AppParams }>(
    '/v1/apps/:app',
    {
      schema: {
        summary: 'One app',
        params: AppParams,
        response: { 200: Type.Ref('App'), default: Type.Ref('Error') },
      },
    },
    async (request) => describeApp(context, request.params.app),
  );

  server.post<{ Params: AppParams; Body: StartOrder }>(
    '/v1/apps/:app/start',
    {
      schema: {
        summary: 'Start an app that runs nowhere',
        params: AppParams,
        body: StartOrder,
        response: { 200: Type.Ref('App'), default: Type.Ref('Error') },
      },
    },
    async (request) => {
      const { app } = request.params;
      await apps.start(app, request.body.host, context.stopping);
      context.log.info({ app, host: request.body.host }, 'app started');
      return describeApp(context, app);
    },
  );

  server.post<{ Params: AppParams; Body: StopOrder }>(
    '/v1/apps/:app/stop',
    {
      schema: {
        summary: 'Stop an app; what it held in memory is lost',
        params: AppParams,
        body: StopOrder,
        response: { 200: Type.Ref('App'), default: Type.Ref('Error') },
      },
    },
    async (request) => {
      const { app } = request.params;
      const host = await apps.stop(app, request.body.host, context.stopping);
      context.log.info({ app, host }, 'app stopped');
      return describeApp(context, app);
    },
  );
}

export function describeApps(context: AdminContext): AppReply[] {
  return context.apps.names().map((app) => describeApp(context, app));
}

function describeApp(context: AdminContext, app: string): AppReply {
  const { container, upstream, replica } = context.apps.config(app);
  const { placements, gates, migrations } = context;
  const host = placements.hostOf(app);
  const url = host === undefined ? upstream : placements.targetAt(app, host).url;
  const migration = migrations.list().find((record) => record.app === app && record.state === 'running');
  const { state, inFlight, heldRequests, heldBytes } = gates.snapshot(app);
  return {
    app,
    kind: container === undefined ? 'upstream' : 'container',
    ...(host === undefined ? {} : { host }),
    ...(url === undefined ? {} : { url }),
    ...(replica === undefined ? {} : { replica }),
    ...(migration === undefined ? {} : { migration: migration.id }),
    gate: { state, inFlightRequests: inFlight, heldRequests, heldBytes },
  };
}
