import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The page server that CRIU opens at the end of a dump that leaves memory in place (`--lazy-pages`): its images are
 * complete by then, and it waits for somebody to fetch the pages. Nobody does: a connection that is closed without a
 * word is the graceful end of it, upon which CRIU lets go of the processes. See docs/criu.md.
 */
const LOOPBACK = '127.0.0.1';
const POLL_MS = 1;
/** The last image that CRIU writes. To look for it costs a hundredth of what trying the port does. */
const LAST_IMAGE = 'inventory.img';

/** A port for it that nobody else on this host listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, LOOPBACK, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a server without an address');
  return address.port;
}

/** CRIU's arguments for it. */
export function dumpServerArgs(port: number): string[] {
  return ['--lazy-pages', '--address', LOOPBACK, '--port', `${port}`];
}

/** End the server if it is there by now. @returns whether it was */
export function dismissDumpServer(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port });
    socket.once('connect', () => {
      socket.end();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export interface DumpServer {
  readonly port: number;
  /** Of the dump. */
  readonly imagesDir: string;
}

/** End the server as soon as it is there; settles then, or when `signal` fires. */
export async function dismissDumpServerOnceUp(server: DumpServer, signal: AbortSignal): Promise<void> {
  const lastImage = path.join(server.imagesDir, LAST_IMAGE);
  const isUp = async () => existsSync(lastImage) && (await dismissDumpServer(server.port));
  while (!signal.aborted && !(await isUp())) await sleep(POLL_MS);
}
