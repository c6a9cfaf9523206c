import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { RouteTable } from '../../gateway/proxy/routes.ts';
import { haproxyConfig } from '../../haproxy/config-text.ts';
import { addMap, setMap } from '../../haproxy/maps.ts';
import { APP_SERVER, backendOf, Way } from '../../haproxy/names.ts';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import { setServerAddress, setServerState } from '../../haproxy/server-commands.ts';
import { editions, Haproxy } from './haproxy.ts';

const found = await editions();
const skip = typeof found === 'string' ? found : false;
const never = new AbortController().signal;

const APPS = [
  { name: 'shop', matches: [{ host: 'shop.example.com' }, { host: '*.shops.example.com', path: '/a' }] },
  { name: 'blog', matches: [{ path: '/blog/' }, { host: 'shop.example.com', path: '/blog' }] },
  { name: 'deep', matches: [{ host: '*.x.shops.example.com' }, { host: 'Only.Example.com', path: '/only' }] },
];
const HOSTS = [
  ...[
    'shop.example.com',
    'SHOP.example.com:8080',
    'shop.example.org',
    'only.example.com',
    'shops.example.com',
  ],
  ...['a.shops.example.com', 'a.x.shops.example.com', 'x.shops.example.com', 'blog'],
  ...['shop.example.com.', 'a.shops.example.com.:80'],
];
const PATHS = [
  '/',
  '/a',
  '/a/b?c=/blog',
  '/ab',
  '/blog',
  '/blog/',
  '/blog?x',
  '/blogs',
  '/only',
  '/only/x',
  '/x',
];

/** A server that answers with its name. */
async function named(t: Test, name: string): Promise<number> {
  const server = createServer((_, response) => response.end(name));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function answerOf(socketPath: string, host: string, path: string): Promise<string> {
  const sent = request({ socketPath, path, agent: false, headers: { host } });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let answer = '';
  for await (const chunk of response.setEncoding('utf8')) answer += chunk;
  return answer;
}

for (const edition of typeof found === 'string' ? [] : found) {
  t.test(`${edition.name} finds the same app for a request as the gateway does`, { skip }, async (t) => {
    const haproxy = await Haproxy.create(edition);
    t.teardown(() => haproxy.stop());
    await haproxy.begin(
      haproxyConfig({
        bind: `unix@${haproxy.socket}.http`,
        gate: `127.0.0.1:${await named(t, 'the gate')}`,
        map: haproxy.map,
        statsSocket: haproxy.socket,
        apps: APPS,
        timeouts: {
          connectMs: 1_000,
          serverMs: 5_000,
          clientMs: 5_000,
          requestHeadMs: 5_000,
          keepAliveMs: 5_000,
        },
      }),
    );
    t.notMatch(haproxy.log(), /WARNING|ALERT/, 'it has nothing to say against what is printed');
    const runtime = new OneShotRuntime({ address: { path: haproxy.socket } });
    for (const { name } of APPS) {
      const server = { backend: backendOf(name), server: APP_SERVER };
      const target = { address: '127.0.0.1', port: await named(t, name) };
      await runtime.ask(
        [
          setServerAddress(server, target),
          setServerState(server, 'ready'),
          addMap(haproxy.map, name, Way.direct),
        ],
        never,
      );
    }
    const table = new RouteTable(
      APPS.flatMap(({ name, matches }) => matches.map((one) => ({ app: name, ...one }))),
    );
    const differences = async (heldApp?: string) => {
      const found: string[] = [];
      for (const host of HOSTS) {
        for (const path of PATHS) {
          const answer = await answerOf(`${haproxy.socket}.http`, host, path);
          const app = table.find(host, path);
          const expected = app === undefined || app === heldApp ? 'the gate' : app;
          if (answer !== expected) found.push(`${host}${path}: ${answer}, not ${expected}`);
        }
      }
      return found;
    };
    t.same(await differences(), []);
    for (const { name } of APPS) {
      await runtime.ask([setMap(haproxy.map, name, Way.gate)], never);
      t.same(await differences(name), [], `${name} is held, and no other app gets its requests`);
      await runtime.ask([setMap(haproxy.map, name, Way.direct)], never);
    }
  });
}
