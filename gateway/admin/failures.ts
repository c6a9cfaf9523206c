import type { FastifyError, FastifyInstance } from 'fastify';
import { type ErrorBody, HoldfastError, toErrorBody } from '../../migrator/errors.ts';
import { Objection } from '../../migrator/preflight.ts';

/** Codes that are the caller's to mend or to wait for. Whatever is not listed came from further behind: 502. */
const STATUS: Readonly<Record<string, number>> = {
  TOKEN_REQUIRED: 401,
  HOST_NOT_ALLOWED: 403,
  JSON_REQUIRED: 415,
  APP_UNKNOWN: 404,
  HOST_UNKNOWN: 404,
  MIGRATION_UNKNOWN: 404,
  NOT_FOUND: 404,
  ALREADY_RUNNING: 409,
  ALREADY_THERE: 409,
  APP_BUSY: 409,
  APP_HAS_NO_CONTAINER: 409,
  MIGRATION_UNDER_WAY: 409,
  NOT_RUNNING: 409,
  MAY_RUN_ELSEWHERE: 409,
  NO_TARGET: 409,
  TWO_INSTANCES: 409,
  GATEWAY_STOPPED: 503,
  DEADLINE: 504,
};

/** Every failure leaves as `{code, message, mend?, retryable}`. */
export function answerFailures(server: FastifyInstance): void {
  server.setErrorHandler((error: FastifyError | HoldfastError, request, reply) => {
    const { status, body } = translate(error);
    if (status === 500) request.log.error({ err: error, url: request.url }, 'the admin API failed');
    return reply.status(status).send(body);
  });
  server.setNotFoundHandler((request) => {
    throw new HoldfastError('NOT_FOUND', `there is no ${request.method} ${request.url}`, {
      mend: 'GET /v1/openapi.json tells what there is',
    });
  });
}

function translate(error: FastifyError | HoldfastError): { status: number; body: ErrorBody } {
  if (error instanceof Objection) return { status: 409, body: toErrorBody(error) };
  if (error instanceof HoldfastError) return { status: STATUS[error.code] ?? 502, body: toErrorBody(error) };
  const status = error.statusCode ?? 500;
  if (status >= 500) return { status: 500, body: toErrorBody(error) };
  return { status, body: { code: 'REQUEST_INVALID', message: error.message, retryable: false } };
}
