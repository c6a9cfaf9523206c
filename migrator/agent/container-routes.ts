import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { lazyPagesSupported } from '../criu/lazy-pages.ts';
import { Deadlines } from './deadlines.ts';
import { engineOf, type HostContext, refuseIfBusy } from './host.ts';
import { measure } from './measure.ts';
import {
  type AgentInfo,
  type ContainerReport,
  type ContainersReply,
  MeasureRequest,
  STATE_UNKNOWN,
} from './protocol.ts';

const ContainerParams = Type.Object({ name: Type.String() });

/** What runs here, and starting and removing it by hand. */
export function containerRoutes(
  app: FastifyInstance,
  options: { host: string; version: string; hostContext: HostContext },
): void {
  const { host, version, hostContext } = options;
  // As long as this process lives it is the same kernel; another CRIU is found after a restart.
  let lazyPages: boolean | undefined;

  app.get('/v1/info', async (): Promise<AgentInfo> => {
    lazyPages ??= await lazyPagesSupported(AbortSignal.timeout(Deadlines.statusMs));
    return { host, version, engines: hostContext.engines.map((engine) => engine.name), lazyPages };
  });

  app.get('/v1/containers', async (): Promise<ContainersReply> => {
    const names = hostContext.engines.flatMap((engine) => engine.containers());
    return { containers: await Promise.all(names.map((name) => report(hostContext, name))) };
  });

  app.post<{ Params: { name: string } }>(
    '/v1/containers/:name/start',
    { schema: { params: ContainerParams } },
    async ({ params: { name } }) => {
      await alone(hostContext, name, Deadlines.startMs, (signal) =>
        engineOf(hostContext, name).start(name, signal),
      );
      return {};
    },
  );

  app.post<{ Params: { name: string } }>(
    '/v1/containers/:name/remove',
    { schema: { params: ContainerParams } },
    async ({ params: { name } }) => {
      await alone(hostContext, name, Deadlines.removeMs, (signal) =>
        engineOf(hostContext, name).remove(name, signal),
      );
      return {};
    },
  );

  app.post<{ Params: { name: string }; Body: MeasureRequest }>(
    '/v1/containers/:name/measure',
    { schema: { params: ContainerParams, body: MeasureRequest } },
    ({ params, body }) => measure(hostContext, params.name, body),
  );
}

async function report(host: HostContext, name: string): Promise<ContainerReport> {
  const engine = engineOf(host, name);
  // One engine that is away takes nothing from what the others have to tell.
  const status = await engine.status(name, AbortSignal.timeout(Deadlines.listMs)).catch((err: unknown) => {
    host.log.warn({ container: name, engine: engine.name, err }, 'the engine does not tell of its container');
    return { name, engine: engine.name, state: STATE_UNKNOWN, port: 0 } as const;
  });
  const record = host.records.of(name);
  return { ...status, ...(record ? { migration: { id: record.id, role: record.role } } : {}) };
}

/** @throws HoldfastError `CONTAINER_BUSY` while a migration has the container in its hands */
function alone(
  host: HostContext,
  container: string,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  engineOf(host, container);
  return host.turns.take('', container, timeoutMs, async (signal) => {
    refuseIfBusy(host, container);
    await work(signal);
  });
}
