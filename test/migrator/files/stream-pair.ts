import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Both ends of a connection over the loopback interface; each end's `end()` leaves the other direction open. */
export async function streamPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const [far] = await accepted;
  server.close();
  for (const end of [near, far]) end.on('error', () => {});
  return [near, far];
}
