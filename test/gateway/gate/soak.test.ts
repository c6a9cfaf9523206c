import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { eventually, hold, rawClient, startApp, startFrontFor } from '../proxy/harness.ts';

const SEED = Number(process.env.SOAK_SEED ?? 20_251);
const ROUNDS = 12;
const CLIENTS_PER_ROUND = 40;

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** How many connections to a port the kernel has that are not over at the server's side: see proc_net_tcp in Linux. */
function acceptedSockets(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const over = new Set(['06', '0A']); // TIME_WAIT, and the one that listens.
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state = '']) => address?.endsWith(local) && !over.has(state)).length;
}

t.test(
  `whatever clients, app and gate do to each other, nothing stays behind (SOAK_SEED=${SEED})`,
  async (t) => {
    const random = randomFrom(SEED);
    const app = await startApp(t, (req, res) => {
      const path = req.url ?? '';
      req.on('error', () => {});
      if (path === '/cut') res.destroy();
      else if (path === '/early') res.end('early');
      else if (path === '/half') {
        res.write('half');
        setTimeout(() => res.destroy(), random(4));
      } else if (path === '/bad') res.socket?.end('nonsense\r\n\r\n');
      else req.resume().on('end', () => setTimeout(() => res.end('whole'), random(8)));
    });
    app.server.on('upgrade', (req, socket) => {
      t.teardown(() => socket.destroy());
      socket.on('error', () => {});
      if (req.url === '/cut') {
        socket.destroy();
        return;
      }
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.pipe(socket);
      if (random(2) === 0) setTimeout(() => socket.destroy(), random(10));
    });
    const front = await startFrontFor(t, app, {
      limits: { maxHeldRequests: 25, releaseConcurrency: 4, maxHoldMs: 5_000 },
    });
    const target = { host: 'a', url: app.url };
    const snapshot = () => front.gates.snapshot('app');
    const heads = [
      (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`,
      (path: string) =>
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n${'b'.repeat(200_000)}`,
      (path: string) =>
        `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n`,
      (path: string) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nshort`,
      (path: string) =>
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nb`,
      (path: string) =>
        `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello`,
      (path: string) => `HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\nGET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`,
    ];
    const paths = ['/', '/', '/', '/cut', '/early', '/half', '/bad'];
    let asked = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const ended: Promise<unknown>[] = [];
      for (let i = 0; i < CLIENTS_PER_ROUND; i += 1) {
        const client = rawClient(t, front.port);
        const head = heads[random(heads.length)]?.(paths[random(paths.length)] ?? '/') ?? '';
        asked += 1;
        client.socket.write(head);
        ended.push(once(client.socket, 'close').catch(() => {}));
        const [leave, leaveAfterMs] = [random(2) === 0 ? 'destroy' : 'resetAndDestroy', random(60)] as const;
        client.socket.once('connect', () => setTimeout(() => client.socket[leave](), leaveAfterMs));
      }
      await new Promise((resolve) => setTimeout(resolve, random(20)));
      const holding = hold(front, 10 + random(60)).catch((error) => error.code);
      if (random(3) === 0) await new Promise((resolve) => setTimeout(resolve, random(10)));
      else await holding;
      await front.gates.release('app', target);
      await holding;
      await Promise.all(ended);
    }
    await eventually(() => snapshot().inFlight === 0 && snapshot().state === 'open');
    // A slow machine may still have clients to accept who have long left: they would be held in the places of the living.
    await eventually(() => acceptedSockets(front.port) === 0);
    t.match(snapshot(), { heldRequests: 0, heldBytes: 0 });
    const counted = (prefix: string) => front.lines.filter((line) => line.startsWith(prefix)).length;
    t.equal(counted('held '), counted('hold-ended '), 'every hold has ended once');
    // On a busy machine many are gone before their bytes are looked at.
    t.ok(counted('finished ') > asked / 10, `${counted('finished ')} of ${asked}`);
    // The proof that no place of the paced release and no connection was lost: everything still works.
    await hold(front);
    const clients = Array.from({ length: 20 }, () =>
      rawClient(t, front.port).send('GET / HTTP/1.1', 'Host: x', '', ''),
    );
    // More when a stalled upload lost its client: nobody reads that socket, so its end comes to light at the release.
    await eventually(() => snapshot().heldRequests >= 20);
    await front.gates.release('app', target);
    for (const client of clients) await client.until('whole');
    await hold(front);
    t.equal(snapshot().inFlight, 0);
  },
);
