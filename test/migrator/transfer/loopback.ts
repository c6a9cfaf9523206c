import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import path from 'node:path';
import type { Test } from 'tap';
import type { HoldfastError } from '../../../migrator/errors.ts';
import { Role } from '../../../migrator/pki/role.ts';
import { downloadImages } from '../../../migrator/transfer/download.ts';
import { KeptPages } from '../../../migrator/transfer/kept-pages.ts';
import { Link } from '../../../migrator/transfer/link.ts';
import { makePki } from '../agent/two-hosts.ts';

export interface Loopback {
  readonly port: number;
  /** Where the receiving end puts images. */
  readonly outDir: string;
  readonly inDir: string;
  link(port?: number): Link;
  /** What was sent ahead. */
  readonly kept: KeptPages;
  /** How each upload went at the receiving end, in order. */
  readonly outcomes: Promise<{ imageBytes: number } | HoldfastError>[];
}

/** A receiving end over real TLS on loopback, and links to it. What one upload sends ahead is kept for the next. */
export async function loopback(
  t: Test,
  options: { limitBytes?: number; keepBytes?: number; outDir?: string; answer?: RequestListener } = {},
): Promise<Loopback> {
  const dir = t.testdir({ in: {}, out: {} });
  const tls = await (await makePki(path.join(dir, 'pki')))('end', Role.agent);
  const outDir = options.outDir ?? path.join(dir, 'out');
  const outcomes: Loopback['outcomes'] = [];
  const kept = new KeptPages({ limitBytes: options.keepBytes ?? 1e9 });
  const receive = (request: IncomingMessage, response: ServerResponse) => {
    const outcome = downloadImages(request, response, {
      dir: outDir,
      kept,
      limitBytes: options.limitBytes ?? 1e9,
      onWhole: async () => {},
      signal: AbortSignal.timeout(30_000),
    });
    outcomes.push(outcome.catch((error: HoldfastError) => error));
  };
  const server = createServer({ ...tls, requestCert: true }, options.answer ?? receive);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const links: Link[] = [];
  t.teardown(() => {
    for (const link of links) link.close();
    server.closeAllConnections();
    server.close();
  });
  return {
    port,
    kept,
    outDir,
    inDir: path.join(dir, 'in'),
    outcomes,
    link(to = port) {
      const link = new Link({ url: `https://127.0.0.1:${to}`, tls });
      links.push(link);
      return link;
    },
  };
}

/** A relay in front of `port` that can be made to carry nothing more, without closing anything. */
export async function relay(t: Test, port: number): Promise<{ port: number; cutAfter(bytes: number): void }> {
  let leftBytes = Number.POSITIVE_INFINITY;
  const sockets: Socket[] = [];
  const server = createTcpServer((near) => {
    const far = connect(port, '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => {});
    near.on('data', (data) => {
      leftBytes -= data.length;
      if (leftBytes > 0) far.write(data);
      else near.pause();
    });
    far.on('data', (data) => {
      if (leftBytes > 0) near.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    cutAfter(bytes) {
      leftBytes = bytes;
    },
  };
}
