import type { MigrationEvent } from '../../migrator/events.ts';

const HEARTBEAT_MS = 15_000;
/** What a client waits before it comes back to a stream that was cut. */
const RETRY_MS = 500;

/**
 * Server-sent events of one migration, numbered from 1 on; those up to `after` are left out. A comment is sent when
 * nothing else was for a while, so that neither end takes silence for a broken connection.
 */
export async function* encodeEvents(
  events: AsyncIterable<MigrationEvent>,
  after: number,
  heartbeatMs: number = HEARTBEAT_MS,
): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\n\n`;
  const source = events[Symbol.asyncIterator]();
  let id = 0;
  let next = source.next();
  try {
    for (;;) {
      const result = await orSilence(next, heartbeatMs);
      if (result === undefined) {
        yield ': nothing new\n\n';
        continue;
      }
      if (result.done) return;
      id += 1;
      if (id > after)
        yield `id: ${id}\nevent: ${result.value.type}\ndata: ${JSON.stringify(result.value)}\n\n`;
      next = source.next();
    }
  } finally {
    await source.return?.();
  }
}

async function orSilence<T>(news: Promise<T>, silenceMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), silenceMs);
  });
  try {
    return await Promise.race([news, silence]);
  } finally {
    clearTimeout(timer);
  }
}
