import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { parseRuntimeAddress } from '../../haproxy/address.ts';
import type { Answers, Command } from '../../haproxy/command.ts';
import { showInfo } from '../../haproxy/info.ts';
import {
  addMap,
  addMapEntries,
  commitMap,
  deleteMap,
  getMap,
  prepareMap,
  setMap,
  showMap,
  showMaps,
} from '../../haproxy/maps.ts';
import { showWorkers } from '../../haproxy/processes.ts';
import { OneShotRuntime, type Runtime, RuntimeSession } from '../../haproxy/runtime.ts';
import {
  addServer,
  deleteServer,
  setServerAddress,
  setServerHealth,
  setServerState,
  waitRemovable,
} from '../../haproxy/server-commands.ts';
import { Admin, Operation, showServersConn, showServersState } from '../../haproxy/servers.ts';
import { StatKind, showStat } from '../../haproxy/stat.ts';
import { editions, eventually, Haproxy, isAtLeast, type Places } from './haproxy.ts';

const ENTRIES = 20_000;
const SHOP = { backend: 'app_shop', server: 'shop' };
const MAP = '/apps-of-holdfast'; // Only a name: it is never written to.

const found = await editions();
const skip = typeof found === 'string' ? found : false;
const never = new AbortController().signal;

/** A port that was free a moment ago: HAProxy cannot choose one for its socket. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface App {
  readonly port: number;
  close(): void;
}

/** An app, for HAProxy to check and to send requests to. */
async function startApp(onVisit = (response: ServerResponse): unknown => response.end('well')): Promise<App> {
  const server = createServer((_, response) => void onVisit(response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const config =
  (appPort: number, commandPort: number) =>
  ({ socket, map }: Places) =>
    `
global
  stats socket ${socket} mode 600 level admin
  stats socket ${socket}.user mode 600 level user
  stats socket ipv4@127.0.0.1:${commandPort} level admin
  stats timeout 300ms
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 1s
frontend front
  bind ${socket}.http
  use_backend %[path,map(${map},app_shop)]
backend app_shop
  balance roundrobin
  server shop 127.0.0.1:${appPort} check inter 100ms
`;

function ask<const C extends readonly Command<unknown>[]>(
  runtime: Runtime,
  ...commands: C
): Promise<Answers<C>> {
  return runtime.ask(commands, AbortSignal.timeout(30_000));
}

for (const edition of typeof found === 'string' ? [] : found) {
  t.test(edition.name, { skip, timeout: 120_000 }, async (t) => {
    const app = await startApp();
    const commandPort = await freePort();
    const haproxy = await Haproxy.start({
      edition,
      config: config(app.port, commandPort),
      map: ['/x app_shop'],
    });
    t.teardown(async () => {
      await haproxy.stop();
      app.close();
    });
    const direct = new OneShotRuntime({ address: { path: haproxy.socket } });
    const byMaster = new OneShotRuntime({ address: { path: haproxy.masterSocket } });
    const session = new RuntimeSession({ address: { path: haproxy.socket } });
    const sessionByMaster = new RuntimeSession({ address: { path: haproxy.masterSocket } });
    t.teardown(() => {
      session.close();
      sessionByMaster.close();
    });
    const [{ version, pid }] = await ask(direct, showInfo());
    t.comment(`HAProxy ${version}`);

    const ways: [string, Runtime][] = [
      ['a connection for each question', direct],
      ['one connection', session],
      ['TCP', new OneShotRuntime({ address: { host: '127.0.0.1', port: commandPort } })],
      ['the master, a connection for each question', byMaster],
      ['the master, one connection', sessionByMaster],
    ];
    for (const [name, runtime] of ways) {
      await t.test(`by way of ${name}`, async (t) => {
        const [info, stats, maps, states, connections] = await ask(
          runtime,
          showInfo(),
          showStat(),
          showMaps(),
          showServersState('app_shop'),
          showServersConn('app_shop'),
        );
        t.match(info, { pid, isStopping: false, version });
        t.match(
          stats.map(({ proxy, name: of, kind }) => [proxy, of, kind]),
          [
            ['front', 'FRONTEND', StatKind.frontend],
            ['app_shop', 'shop', StatKind.server],
            ['app_shop', 'BACKEND', StatKind.backend],
          ],
        );
        t.match(maps, [{ file: haproxy.map, entries: Number }]);
        t.match(states, [{ ...SHOP, address: '127.0.0.1', port: app.port, admin: Admin.ready }]);
        t.match(connections, [{ ...SHOP, address: '127.0.0.1', port: app.port, idle: 0 }]);
        const wanted = { proxy: 'app_shop', kinds: [StatKind.server] };
        t.match(await ask(runtime, showStat(wanted)), [[{ name: 'shop', currentSessions: 0 }]]);

        await ask(runtime, addMap(haproxy.map, '/k', 'one'), setMap(haproxy.map, '/k', 'a b; c \\ d'));
        t.same(await ask(runtime, getMap(haproxy.map, '/k'), getMap(haproxy.map, '/none')), [
          'a b; c \\ d',
          undefined,
        ]);
        t.match(await ask(runtime, showMap(haproxy.map)), [
          [{ key: '/x' }, { key: '/k', value: 'a b; c \\ d' }],
        ]);
        await ask(runtime, deleteMap(haproxy.map, '/k'));
      });

      await t.test(`what HAProxy refuses by way of ${name}`, async (t) => {
        const refusals: [Command<unknown>, string][] = [
          [setMap(MAP, 'k', 'v'), 'HAPROXY_MAP_UNKNOWN'],
          [showMap(MAP), 'HAPROXY_MAP_UNKNOWN'],
          ...addMapEntries(MAP, [['k', 'v']]).map((one): [Command<unknown>, string] => [
            one,
            'HAPROXY_MAP_UNKNOWN',
          ]),
          [setMap(haproxy.map, '/none', 'v'), 'HAPROXY_KEY_UNKNOWN'],
          [deleteMap(haproxy.map, '/none'), 'HAPROXY_KEY_UNKNOWN'],
          [showServersState('nope'), 'HAPROXY_BACKEND_UNKNOWN'],
          [setServerState({ backend: 'app_shop', server: 'nope' }, 'maint'), 'HAPROXY_SERVER_UNKNOWN'],
          [setServerState({ backend: 'nope', server: 'nope' }, 'maint'), 'HAPROXY_BACKEND_UNKNOWN'],
          [setServerAddress(SHOP, { address: 'no address', port: 1 }), 'HAPROXY_REFUSED'],
          [addServer(SHOP, '127.0.0.1:1'), 'HAPROXY_SERVER_EXISTS'],
          [deleteServer(SHOP), 'HAPROXY_SERVER_IN_USE'],
          [{ ...showMaps(), line: 'show nonsense' }, 'HAPROXY_COMMAND_UNKNOWN'],
        ];
        for (const [command, code] of refusals) {
          const asked = ask(runtime, command, getMap(haproxy.map, '/x'));
          await t.rejects(asked, { code, message: command.line }, command.line);
        }
        t.same(await ask(runtime, getMap(haproxy.map, '/x')), ['app_shop'], 'and it goes on as before');
      });
    }

    await t.test('a map is replaced at once, by more than a command line can hold', async (t) => {
      const entries = Array.from({ length: ENTRIES }, (_, i): [string, string] => [`/${i}`, `größe ${i}`]);
      const [ahead] = await ask(byMaster, prepareMap(haproxy.map));
      await ask(byMaster, ...addMapEntries(haproxy.map, entries, ahead));
      t.match(await ask(direct, showMap(haproxy.map)), [[{ key: '/x' }]], 'nobody sees it yet');
      const [shown] = await ask(direct, showMap(haproxy.map, ahead));
      t.equal(shown.length, ENTRIES);
      await ask(byMaster, commitMap(haproxy.map, ahead));
      const both = await Promise.all(ways.map(([, runtime]) => ask(runtime, showMap(haproxy.map))));
      for (const [all] of both) {
        t.equal(all.length, ENTRIES);
        t.match(all[ENTRIES - 1], { key: `/${ENTRIES - 1}`, value: `größe ${ENTRIES - 1}` });
      }
    });

    await t.test('a server moves to another address and back, and HAProxy checks it there', async (t) => {
      const other = await startApp();
      t.teardown(() => other.close());
      t.same(await ask(direct, setServerAddress(SHOP, { address: '127.0.0.1', port: other.port })), [true]);
      t.same(await ask(direct, setServerAddress(SHOP, { address: '127.0.0.1', port: other.port })), [false]);
      await ask(direct, setServerState(SHOP, 'maint'));
      t.match(await ask(direct, showServersState('app_shop')), [
        [{ port: other.port, admin: Admin.maintenance }],
      ]);
      await ask(direct, setServerState(SHOP, 'drain'));
      t.match(await ask(direct, showServersState('app_shop')), [[{ admin: Admin.drain }]]);
      await ask(direct, setServerState(SHOP, 'ready'), setServerHealth(SHOP, 'down'));
      await ask(direct, setServerHealth(SHOP, 'up'));
      const server = { proxy: 'app_shop', kinds: [StatKind.server] };
      await eventually('a health check to pass', async () => {
        const [[stat]] = await ask(direct, showStat(server));
        return stat !== undefined && stat.checkHealth === stat.checkRise + stat.checkFall - 1;
      });
      t.match(await ask(direct, showServersState('app_shop')), [
        [{ admin: Admin.ready, operation: Operation.running }],
      ]);
      t.same(await ask(direct, setServerAddress(SHOP, { address: '127.0.0.1', port: app.port })), [true]);
    });

    await t.test('servers come and go', async (t) => {
      const spare = { backend: 'app_shop', server: 'spare' };
      await ask(session, addServer(spare, `127.0.0.1:${app.port}`, ['check', 'inter', '1s']));
      t.match(await ask(session, showServersState('app_shop')), [
        [{ server: 'shop' }, { server: 'spare', admin: Admin.maintenance }],
      ]);
      // `wait` came with 3.0, and a worker of 2.6 does not say what it lacks otherwise.
      const isThere = isAtLeast(version, '3.0');
      if (isThere) {
        t.same(await ask(session, waitRemovable(spare, 5_000)), ['done']);
        await ask(session, setServerState(spare, 'ready'));
        await t.rejects(ask(session, waitRemovable(spare, 50)), { code: 'HAPROXY_SERVER_IN_USE' });
        await ask(session, setServerState(spare, 'maint'));
      } else {
        await t.rejects(ask(session, waitRemovable(spare, 50)), { code: 'HAPROXY_COMMAND_UNKNOWN' });
      }
      await ask(session, deleteServer(spare), showInfo());
      t.match(await ask(session, showServersState('app_shop')), [[{ server: 'shop' }]]);
    });

    await t.test('a socket that may only look', async (t) => {
      const user = new OneShotRuntime({ address: { path: `${haproxy.socket}.user` } });
      t.match(await ask(user, showInfo()), [{ version }]);
      await t.rejects(ask(user, setServerState(SHOP, 'maint')), { code: 'HAPROXY_FORBIDDEN' });
    });

    await t.test('a session outlives a reload and a crash of HAProxy', async (t) => {
      t.match(await ask(session, showInfo()), [{ pid }]);
      t.match(await ask(byMaster, showWorkers()), [[{ pid: Number, reloads: 0 }]]);
      await haproxy.reload();
      const [{ pid: fresh }] = await ask(direct, showInfo());
      t.not(fresh, pid, 'a connection of its own reaches the new worker');
      t.match(await ask(byMaster, showInfo()), [{ pid: fresh }], 'and so does the master');
      await haproxy.kill();
      await t.rejects(ask(session, showInfo()), { code: 'HAPROXY_UNREACHABLE' });
      await haproxy.run();
      t.match(await ask(session, showInfo()), [{ isStopping: false }]);
    });
  });
}

t.test('the old worker after a reload is asked by its pid, while it still serves', { skip }, async (t) => {
  for (const edition of typeof found === 'string' ? [] : found) {
    const waiting: ServerResponse[] = [];
    const app = await startApp((response) => waiting.push(response));
    const haproxy = await Haproxy.start({ edition, config: config(app.port, await freePort()) });
    try {
      const visit = get({ socketPath: `${haproxy.socket}.http`, path: '/visit', agent: false });
      const visited = once(visit, 'response');
      await eventually('the request to be at the app', () => waiting.length > 0);
      const address = { path: haproxy.masterSocket };
      const master = new OneShotRuntime({ address });
      const [[old]] = await ask(master, showWorkers());
      await haproxy.reload();
      const [workers] = await ask(master, showWorkers());
      const fresh = await haproxy.pid();
      t.match(
        workers,
        [
          { pid: fresh, reloads: 0 },
          { ...old, reloads: 1 },
        ],
        edition.name,
      );
      const leaving = new OneShotRuntime({ address, workerPid: old?.pid });
      const backend = showStat({ proxy: 'app_shop', kinds: [StatKind.backend] });
      t.match(await ask(leaving, showInfo(), backend), [{ isStopping: true }, [{ currentSessions: 1 }]]);
      for (const response of waiting) response.end();
      await visited;
      const nobody = new OneShotRuntime({ address, workerPid: 1 });
      await t.rejects(ask(nobody, showInfo()), { code: 'HAPROXY_WORKER_GONE', retryable: true });
    } finally {
      await haproxy.stop();
      app.close();
    }
  }
});

t.test('addresses of runtime sockets', async (t) => {
  t.same(parseRuntimeAddress('/run/haproxy/admin.sock'), { path: '/run/haproxy/admin.sock' });
  t.same(parseRuntimeAddress('127.0.0.1:9999'), { host: '127.0.0.1', port: 9999 });
  t.same(parseRuntimeAddress('[::1]:9999'), { host: '::1', port: 9999 });
  for (const wrong of ['admin.sock', '127.0.0.1', '::1:9999', 'host:0', 'host:65536', '']) {
    t.throws(() => parseRuntimeAddress(wrong), { code: 'HAPROXY_ADDRESS_INVALID' }, wrong);
  }
});

t.test('words that HAProxy cannot be told', async (t) => {
  for (const word of ['', 'two\nlines', '<<', '<<EOF', 'nul\0']) {
    t.throws(() => setMap('m', 'k', word), { code: 'HAPROXY_WORD_INVALID' }, JSON.stringify(word));
  }
  t.throws(() => addMapEntries('m', [['a key', 'v']]), { code: 'HAPROXY_WORD_INVALID' });
  t.throws(() => addMapEntries('m', [['k', '']]), { code: 'HAPROXY_WORD_INVALID' });
  t.throws(() => addMapEntries('m', [['k', 'v\n\ndel map m k']]), { code: 'HAPROXY_WORD_INVALID' });
  await t.rejects(new OneShotRuntime({ address: { path: '/nowhere' } }).ask([showMaps()], never), {
    code: 'HAPROXY_UNREACHABLE',
  });
});
