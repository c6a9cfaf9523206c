import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Static, Type } from '@sinclair/typebox';
import { anySignal } from '../../any-signal.ts';
import { HoldfastError } from '../../errors.ts';

/** `health:` of an entry of `containers:` in agent.yaml. */
export const Health = Type.Object(
  {
    path: Type.String({ pattern: '^/', default: '/' }),
    /** Between two attempts, once the app accepts connections. */
    intervalMs: Type.Integer({ minimum: 1, maximum: 60_000, default: 50 }),
    /** For one attempt. */
    timeoutMs: Type.Integer({ minimum: 1, maximum: 60_000, default: 1_000 }),
  },
  { additionalProperties: false },
);
export type Health = Static<typeof Health>;

/** Where and how health is asked when the configuration says nothing. */
const DEFAULT_HEALTH: Health = { path: '/', intervalMs: 50, timeoutMs: 1_000 };

/** While nothing accepts the connection, asking again costs next to nothing, and waiting costs everybody. */
const REFUSED_PAUSE_MS = 2;

/**
 * Ask until the app answers with 2xx or 3xx.
 *
 * @throws HoldfastError `HEALTH_CHECK_FAILED` with the last answer, when `signal` fires or the app is no longer alive
 */
export async function waitHealthy(
  app: { readonly port: number; readonly health?: Health; readonly address?: string | undefined },
  alive: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const { path, intervalMs, timeoutMs } = app.health ?? DEFAULT_HEALTH;
  const { address = '127.0.0.1' } = app;
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${app.port}${path}`;
  let last = 'it was not asked';
  while (!signal.aborted) {
    if (!alive()) {
      last = 'its process has ended';
      break;
    }
    let pauseMs = intervalMs;
    try {
      const status = await ask(url, anySignal([signal, AbortSignal.timeout(timeoutMs)]));
      if (status >= 200 && status < 400) return;
      last = `it answered ${status}`;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (signal.aborted && last !== 'it was not asked') break;
      last = code === 'ABORT_ERR' ? `no answer within ${timeoutMs} ms` : message;
      if (code === 'ECONNREFUSED') pauseMs = REFUSED_PAUSE_MS;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
  throw new HoldfastError('HEALTH_CHECK_FAILED', `${url} did not come to health: ${last}`, {
    mend: 'look at the app, and whether port and health.path in the agent configuration are its own',
  });
}

/** On a connection of its own, closed afterwards: an idle one would be the app's to carry into the next freeze. */
function ask(url: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent: false, headers: { connection: 'close' }, signal }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', reject);
    });
    call.once('error', reject);
    call.end();
  });
}
