import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HoldfastError } from '../../migrator/errors.ts';

export interface GuardOptions {
  /** What every request must bear, or undefined where only this machine can ask. */
  readonly token: string | undefined;
  /** Host names besides `localhost` that the API answers to. */
  readonly allowedHosts: readonly string[];
}

/** Open to whoever reaches the port: it says no more than that the gateway is alive. */
const PUBLIC_PATH = '/healthz';

/**
 * Keeps web pages and strangers out. A page in an administrator's browser can send requests to loopback: it cannot
 * send JSON without being asked for permission first, and a name it has rebound to this address shows in the Host
 * header. An address in the Host header cannot have been rebound.
 */
export function guard(server: FastifyInstance, options: GuardOptions): void {
  const names = new Set(['localhost', ...options.allowedHosts.map((name) => name.toLowerCase())]);
  const token = options.token === undefined ? undefined : digest(options.token);
  server.addHook('onRequest', async (request) => {
    const name = hostName(request.headers.host);
    if (isIP(name) === 0 && !names.has(name)) {
      throw new HoldfastError('HOST_NOT_ALLOWED', `the admin API does not answer to the name ${name}`, {
        mend: 'use its address, or list the name under admin.allowedHosts',
      });
    }
    if (token !== undefined && request.routeOptions.url !== PUBLIC_PATH && !bears(request, token)) {
      throw new HoldfastError('TOKEN_REQUIRED', 'the admin API needs its token', {
        mend: 'send "Authorization: Bearer TOKEN"; the commands take --token-file or HOLDFAST_TOKEN_FILE',
      });
    }
    if (request.method === 'POST' && !/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
      throw new HoldfastError('JSON_REQUIRED', 'the admin API takes JSON only', {
        mend: 'send "Content-Type: application/json"',
      });
    }
  });
}

function hostName(host = ''): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host);
  return (bracketed?.[1] ?? host.replace(/:\d*$/, '')).toLowerCase();
}

function bears(request: FastifyRequest, token: Buffer): boolean {
  const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return given !== undefined && timingSafeEqual(digest(given), token);
}

/** Of equal length whatever was given, so that the comparison's time tells nothing. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
