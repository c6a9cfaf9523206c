import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { anySignal } from '../../migrator/any-signal.ts';
import { toErrorBody } from '../../migrator/errors.ts';
import { askAll } from '../placements/survey.ts';
import { describeApps } from './apps.ts';
import type { AdminContext } from './context.ts';
import { type HaproxyReply, type HostReply, StatusReply } from './schemas.ts';

const HOST_DEADLINE_MS = 2_000;

export function statusRoutes(server: FastifyInstance, context: AdminContext): void {
  const { metrics, migrations, stopping, version } = context;

  server.get(
    '/v1/status',
    {
      schema: {
        summary: 'The gateway, its hosts as they answer now, its apps and what is moving',
        response: { 200: StatusReply, default: Type.Ref('Error') },
      },
    },
    async () => ({
      version,
      hosts: await describeHosts(context, stopping),
      haproxys: describeHaproxys(context),
      apps: describeApps(context),
      migrations: migrations.list().filter((record) => record.state === 'running'),
    }),
  );

  server.get(
    '/metrics',
    { schema: { summary: 'Metrics for Prometheus', produces: ['text/plain'] } },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );

  server.get(
    '/healthz',
    {
      schema: {
        summary: 'Whether the gateway is alive; needs no token',
        response: { 200: Type.Object({ status: Type.Literal('ok') }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  server.get('/v1/openapi.json', { schema: { hide: true } }, async () => server.swagger());
}

function describeHaproxys({ haproxy }: AdminContext): HaproxyReply[] {
  const states = haproxy?.states() ?? [];
  return states.map(({ name, isOptional, answers, failure }) => ({
    haproxy: name,
    optional: isOptional,
    reachable: answers,
    ...(failure === undefined ? {} : { error: toErrorBody(failure) }),
  }));
}

async function describeHosts(context: AdminContext, stopping: AbortSignal): Promise<HostReply[]> {
  const signal = anySignal([stopping, AbortSignal.timeout(HOST_DEADLINE_MS)]);
  const answers = await askAll(context.agents.values(), (agent) => agent.info(signal));
  return answers.map((answer) => {
    const agent = context.agents.get(answer.host)?.url ?? '';
    if (!answer.reachable) return { host: answer.host, agent, reachable: false, error: answer.error };
    const { version, engines } = answer.answer;
    return { host: answer.host, agent, reachable: true, version, engines };
  });
}
