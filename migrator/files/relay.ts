import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { HoldfastError } from '../errors.ts';
import { Kind, type Wire } from './wire.ts';

/**
 * Everything a process says goes to the other end, no faster than that takes it. A process that has ended without reading
 * the last of what it was told resets its socket: how it fared, its exit code says.
 *
 * @throws HoldfastError `LINK_BROKEN`
 */
export async function relayOut(from: Readable, wire: Wire): Promise<void> {
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) await wire.send(Kind.data, chunk);
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
  }
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
