import { type ErrorBody, HoldfastError } from '../../migrator/errors.ts';
import type { MigrationEvent } from '../../migrator/events.ts';
import { Refusal } from './failure.ts';
import { readServerSentEvents } from './server-sent-events.ts';

/** The gateway sends at least a comment every 15 s: one that is silent for longer is gone. */
const SILENCE_DEADLINE_MS = 45_000;
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
  async *events(migrationId: string, after: number): AsyncGenerator<NumberedEvent> {
    const path = `/v1/migrations/${encodeURIComponent(migrationId)}/events`;
    const headers: Record<string, string> = after === 0 ? {} : { 'last-event-id': String(after) };
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), SILENCE_DEADLINE_MS);
    try {
      const response = await this.#fetch(path, { headers }, silence.signal);
      if (!response.ok) await this.#json(response);
      for await (const { id, data } of readServerSentEvents(heard(response.body, timer))) {
        yield { id: Number(id), event: JSON.parse(data) as MigrationEvent };
      }
    } catch (cause) {
      throw cause instanceof HoldfastError ? cause : this.#unreachable(cause);
    } finally {
      clearTimeout(timer);
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

async function* heard(
  bytes: AsyncIterable<Uint8Array> | null,
  timer: NodeJS.Timeout,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes ?? []) {
    timer.refresh();
    yield chunk;
  }
}
