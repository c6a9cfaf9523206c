import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { Kind, type Wire } from './wire.ts';

/** Everything a process says goes to the other end, no faster than that takes it. */
export async function relayOut(from: Readable, wire: Wire): Promise<void> {
  for await (const chunk of from as AsyncIterable<Buffer>) await wire.send(Kind.data, chunk);
}

/** Give a process something to read; settles when it has room for more, or has gone. */
export async function giveTo(to: Writable, payload: Buffer): Promise<void> {
  if (!to.writable || to.write(payload)) return;
  const wait = new AbortController();
  const { signal } = wait;
  try {
    await Promise.race(
      [once(to, 'drain', { signal }), once(to, 'close', { signal })].map((one) => one.catch(() => {})),
    );
  } finally {
    wait.abort();
  }
}
