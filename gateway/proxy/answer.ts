import type { ServerResponse } from 'node:http';
import { errors } from 'undici';
import { HoldfastError, toErrorBody } from '../../migrator/errors.ts';
import { Refusal } from '../gate/visit.ts';

/** What clients turned away are told to wait before they ask again. */
const RETRY_AFTER_SECONDS = 1;

/** An answer of the gateway's own: a status and the error as a JSON body. */
export interface OwnAnswer {
  readonly status: number;
  readonly error: HoldfastError;
}

const REFUSALS: Readonly<Record<Refusal, { code: string; message: string }>> = {
  [Refusal.tooManyHeld]: {
    code: 'TOO_MANY_HELD',
    message: 'the app is being moved and too many requests wait for it',
  },
  [Refusal.tooManyBytesHeld]: {
    code: 'TOO_MANY_BYTES_HELD',
    message: 'the app is being moved and the requests that wait for it are too large',
  },
  [Refusal.heldTooLong]: { code: 'HELD_TOO_LONG', message: 'the app was not back within the hold time' },
  [Refusal.noTarget]: { code: 'NO_TARGET', message: 'it is not known where the app runs' },
  [Refusal.closing]: { code: 'CLOSING', message: 'the gateway is being shut down' },
};

export function refusalAnswer(refusal: Refusal): OwnAnswer {
  const { code, message } = REFUSALS[refusal];
  return { status: 503, error: new HoldfastError(code, message, { mend: 'try again', retryable: true }) };
}

/** What a failure before the head of an answer means for the client. Says nothing of addresses or causes. */
export function upstreamFailureAnswer(cause: Error): OwnAnswer {
  if (cause instanceof HoldfastError) return { status: 400, error: cause };
  const isTimeout =
    cause instanceof errors.ConnectTimeoutError || cause instanceof errors.HeadersTimeoutError;
  return isTimeout
    ? {
        status: 504,
        error: new HoldfastError('UPSTREAM_TIMEOUT', 'the app did not answer in time', {
          retryable: true,
          cause,
        }),
      }
    : {
        status: 502,
        error: new HoldfastError('UPSTREAM_UNREACHABLE', 'the app cannot be reached', {
          retryable: true,
          cause,
        }),
      };
}

/** The connection broke, as a kept-alive one does that the app closed in the same moment. Not: nobody listens. */
export function isBrokenConnection(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

export function answer(res: ServerResponse, { status, error }: OwnAnswer): void {
  const body = `${JSON.stringify(toErrorBody(error))}\n`;
  const headers = ['Content-Type', 'application/json', 'Content-Length', `${Buffer.byteLength(body)}`];
  if (status === 503) headers.push('Retry-After', `${RETRY_AFTER_SECONDS}`);
  res.writeHead(status, headers);
  res.end(body);
}
