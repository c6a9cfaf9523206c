import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { AdminContext } from './context.ts';
import { MigrationOrder } from './schemas.ts';

export function planRoutes(server: FastifyInstance, { apps, migrations }: AdminContext): void {
  server.post<{ Body: MigrationOrder }>(
    '/v1/plans',
    {
      schema: {
        summary: 'What moving an app would cost by each strategy, measured now; nothing is touched',
        body: MigrationOrder,
        response: { 200: Type.Ref('Plan'), default: Type.Ref('Error') },
      },
    },
    async (request) => {
      apps.assertMovable(request.body.app);
      return migrations.plan(request.body);
    },
  );
}
