import t from 'tap';
import { WebSocket } from 'ws';
import { Strategy } from '../../migrator/events.ts';
import { ANSWER_TIMEOUT_MS, RealApp, Users, whyNoRealApps } from './real-app.ts';

const skip = await whyNoRealApps();

/** Sends numbers one after the other, and connects anew when its connection has ended. */
class Client {
  readonly #url: string;
  #socket: WebSocket | undefined;
  /** How often it has connected. */
  connections = 0;
  acknowledged = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Settles when the number is acknowledged, over whichever connection. */
  async send(number: number): Promise<void> {
    for (;;) {
      const socket = this.#socket ?? (await this.#connect());
      if (await acknowledges(socket, number)) break;
      this.#socket = undefined;
    }
    this.acknowledged = number;
  }

  /** @throws when it is refused: a gate that holds lets it wait */
  async #connect(): Promise<WebSocket> {
    const socket = new WebSocket(this.#url, { handshakeTimeout: ANSWER_TIMEOUT_MS });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => {}); // It is closed then, which is what matters.
    this.connections += 1;
    this.#socket = socket;
    return socket;
  }

  close(): void {
    this.#socket?.terminate();
  }
}

/** `false` when the connection has ended before the answer was there. */
function acknowledges(socket: WebSocket, number: number): Promise<boolean> {
  if (socket.readyState !== WebSocket.OPEN) return Promise.resolve(false);
  return new Promise((resolve) => {
    const settle = (is: boolean) => {
      socket.off('message', hear);
      socket.off('close', gone);
      resolve(is);
    };
    const hear = (data: unknown) => settle(String(data) === String(number));
    const gone = () => settle(false);
    socket.on('message', hear);
    socket.on('close', gone);
    socket.send(String(number), () => {});
  });
}

t.test(
  'a Node app with WebSockets open is moved, and its clients connect anew',
  { skip, timeout: 170_000 },
  async (t) => {
    const app = await RealApp.open({ script: 'exec node /srv/messages.mjs', hold: { upgrades: 'close' } });
    const clients = Array.from({ length: 6 }, (_, nth) => {
      return new Client(`${app.url.replace('http', 'ws')}/?client=${nth}`);
    });
    try {
      const users = new Users(clients.length, async (user, nth) => {
        await clients[user]?.send(nth);
      });
      for (const strategy of [Strategy.preCopy, Strategy.hybrid]) {
        await users.doMore(60);
        const ended = await app.move(strategy);
        t.equal(ended.outcome, 'succeeded', `${strategy}: ${ended.error?.message ?? 'as ordered'}`);
        await users.doMore(60);
      }
      await users.end();
      t.same(users.failures, [], 'no connection was refused');
      const kept = JSON.parse(await app.ask('/kept')) as Record<string, number[]>;
      for (const [nth, { acknowledged, connections }] of clients.entries()) {
        const all = Array.from({ length: acknowledged }, (_, number) => number + 1);
        t.same(kept[nth], all, `client ${nth}: what was acknowledged is in its memory, each number once`);
        t.equal(connections, 3, 'it has connected anew once for each move');
      }
      t.match(await app.inside('tr "\\0" " " </proc/1/cmdline'), 'messages.mjs', 'the same first process');
    } finally {
      for (const client of clients) client.close();
      if (!t.passing()) t.comment(app.logs());
      await app.close();
    }
  },
);
