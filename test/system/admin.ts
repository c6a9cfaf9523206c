import type { AppReply } from '../../gateway/admin/schemas.ts';
import { type ErrorBody, fromErrorBody } from '../../migrator/errors.ts';
import type { MigrationEvent } from '../../migrator/events.ts';
import type { MigrationRequest } from '../../migrator/orders.ts';
import type { MigrationRecord } from '../../migrator/record.ts';

export type EndedEvent = Extract<MigrationEvent, { type: 'ended' }>;

const CALL_TIMEOUT_MS = 10_000;
const MIGRATION_TIMEOUT_MS = 120_000;

/** The admin API as tests use it. Errors are what the API says, as HoldfastError. */
export class Admin {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  apps(): Promise<AppReply[]> {
    return this.call('GET', '/v1/apps') as Promise<AppReply[]>;
  }

  /** Order the start and wait until the app answers its health check. */
  async startApp(app: string, host: string): Promise<void> {
    await this.call('POST', `/v1/apps/${app}/start`, { host }, 60_000);
  }

  /**
   * Order a move; settles once it is in the journal. By pre-copy unless told otherwise: what `auto` chooses depends on how
   * busy the machine is.
   */
  async order(app: string, to: string, options: Omit<MigrationRequest, 'app' | 'to'> = {}): Promise<string> {
    const { id } = (await this.call('POST', '/v1/migrations', {
      app,
      to,
      strategy: 'pre-copy',
      ...options,
    })) as { id: string };
    return id;
  }

  migration(id: string): Promise<MigrationRecord> {
    return this.call('GET', `/v1/migrations/${id}`) as Promise<MigrationRecord>;
  }

  /** The events of one migration from its first to its last. */
  async *events(
    id: string,
    signal = AbortSignal.timeout(MIGRATION_TIMEOUT_MS),
  ): AsyncGenerator<MigrationEvent> {
    const response = await fetch(`${this.url}/v1/migrations/${id}/events`, { signal });
    if (!response.ok || response.body === null) throw await failure(response);
    let text = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
        text = text.slice(end + 2);
        if (data !== undefined) yield JSON.parse(data) as MigrationEvent;
      }
    }
  }

  /** Order a move and follow it to its end, however it ends. */
  async migrate(
    app: string,
    to: string,
    onEvent: (event: MigrationEvent) => void = () => {},
    options: Omit<MigrationRequest, 'app' | 'to'> = {},
  ): Promise<EndedEvent> {
    const id = await this.order(app, to, options);
    for await (const event of this.events(id)) {
      onEvent(event);
      if (event.type === 'ended') return event;
    }
    throw new Error(`the events of migration ${id} broke off before its end`);
  }

  async call(method: string, path: string, body?: unknown, timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!response.ok) throw await failure(response);
    return response.status === 204 ? undefined : response.json();
  }
}

async function failure(response: Response): Promise<Error> {
  const text = await response.text();
  try {
    return fromErrorBody(JSON.parse(text) as ErrorBody);
  } catch {
    return new Error(`the admin API answered ${response.status}: ${text.slice(0, 300)}`);
  }
}
