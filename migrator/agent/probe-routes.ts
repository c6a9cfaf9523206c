import type { FastifyInstance } from 'fastify';
import { PROBE_PATH, receiveProbe } from '../transfer/probe.ts';

/** What another agent measures the link by. */
export function probeRoutes(app: FastifyInstance): void {
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null));
  app.get(PROBE_PATH, async () => ({}));
  app.put(PROBE_PATH, async (request, reply) => {
    reply.hijack();
    await receiveProbe(request.raw, reply.raw);
  });
}
