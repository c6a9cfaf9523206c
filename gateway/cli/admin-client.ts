import { type ErrorBody, HoldfastError } from '../../migrator/errors.ts';
import type { MigrationEvent } from '../../migrator/events.ts';
import { Refusal } from './failure.ts';
import { readServerSentEvents } from './server-sent-events.ts';

/** Longer than starting an app may take, which is the longest the admin API takes over anything. */
const ANSWER_DEADLINE_MS = 70_000;

export interface NumberedEvent {
  readonly id: number;
  readonly event: MigrationEvent;
}

/** The admin API, as the commands use it. */
export class AdminClient {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(options: { url: string; token?: string }) {
    this.#url = options.url.replace(/\/+$/, '');
    this.#headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  }

  /**
   * @throws HoldfastError `GATEWAY_UNREACHABLE`, `GATEWAY_ANSWER_INVALID`, what the gateway answers; a `Refusal` when it
   * was asked for what cannot be
   */
  async get<T>(path: string): Promise<T> {
    return this.#json<T>(await this.#fetch(path, {}, AbortSignal.timeout(ANSWER_DEADLINE_MS)));
  }

  /** @throws as `get` */
  async post<T>(path: string, body: object): Promise<T> {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
    return this.#json<T>(await this.#fetch(path, init, AbortSignal.timeout(ANSWER_DEADLINE_MS)));
  }

  /**
   * The events of a migration that come after the one numbered `after`. Ends when the gateway ends the stream.
   *
   * @throws as `get`, also when the stream is cut
   */
  async *events(migrationId: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    const path = `/v1/migrations/${encodeURIComponent(migrationId)}/events`;
    const headers: Record<string, string> = after === 0 ? {} : { 'last-event-id': String(after) };
    const response = await this.#fetch(path, { headers }, signal);
    if (!response.ok || response.body === null) await this.#json(response);
    try {
      for await (const { id, data } of readServerSentEvents(response.body ?? [])) {
        yield { id: Number(id), event: JSON.parse(data) as MigrationEvent };
      }
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }

  async #fetch(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    try {
      return await fetch(this.#url + path, {
        ...init,
        headers: { ...init.headers, ...this.#headers },
        signal,
      });
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }

  async #json<T>(response: Response): Promise<T> {
    let body: unknown;
    try {
      body = await response.json();
    } catch (cause) {
      throw this.#notUnderstood(response.status, cause);
    }
    if (response.ok) return body as T;
    const { code, message, mend, retryable } = body as Partial<ErrorBody>;
    if (code === undefined || message === undefined) throw this.#notUnderstood(response.status);
    const Kind = response.status < 500 ? Refusal : HoldfastError;
    throw new Kind(code, message, { retryable: retryable ?? false, ...(mend === undefined ? {} : { mend }) });
  }

  #unreachable(cause: unknown): HoldfastError {
    return new HoldfastError('GATEWAY_UNREACHABLE', `the gateway does not answer at ${this.#url}`, {
      mend: 'see that gateway serve runs, or name its admin address with --admin or HOLDFAST_ADMIN',
      retryable: true,
      cause,
    });
  }

  #notUnderstood(status: number, cause?: unknown): HoldfastError {
    return new HoldfastError(
      'GATEWAY_ANSWER_INVALID',
      `${this.#url} answered ${status}, but not as a gateway`,
      {
        mend: 'check that --admin is the admin address, not the one for traffic',
        cause,
      },
    );
  }
}
