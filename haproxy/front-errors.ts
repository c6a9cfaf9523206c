import { HoldfastError } from '../migrator/errors.ts';
import { APP_SERVER, backendOf } from './names.ts';

/** Why a HAProxy, by its name, cannot hold an app. */

export function appMissing(haproxy: string, app: string): HoldfastError {
  return new HoldfastError(
    'HAPROXY_APP_MISSING',
    `HAProxy at ${haproxy} has no server ${APP_SERVER} in a backend ${backendOf(app)}`,
    { mend: 'see what `gateway haproxy check` says of its configuration, and reload it' },
  );
}

export function inUse(haproxy: string, app: string): HoldfastError {
  return new HoldfastError(
    'HAPROXY_SERVER_IN_USE',
    `HAProxy at ${haproxy} keeps connections to ${app} open`,
    {
      mend: 'try again in a quieter moment',
      retryable: true,
    },
  );
}

export function notHeld(haproxy: string, app: string): HoldfastError {
  return new HoldfastError(
    'HAPROXY_NOT_HELD',
    `HAProxy at ${haproxy} still sends requests to ${app} itself`,
    {
      mend: 'see who else changes its map',
      retryable: true,
    },
  );
}

export function drainTimeout(app: string, requests: number, timeoutMs: number): HoldfastError {
  return new HoldfastError(
    'DRAIN_TIMEOUT',
    `${requests} requests to ${app} were still in flight in HAProxy after ${timeoutMs} ms; the app was not touched`,
    { mend: 'try again in a quieter moment, or raise drainTimeoutMs', retryable: true },
  );
}
