import path from 'node:path';
import { GATE_BACKEND, GATE_SERVER } from '../../haproxy/names.ts';
import { OneShotRuntime } from '../../haproxy/runtime.ts';
import { StatKind, showStat } from '../../haproxy/stat.ts';
import { build, repoDir } from '../../test/build.mjs';
import { type Edition, Haproxy } from '../../test/haproxy/haproxy.ts';
import { Supervised } from '../../test/lab/supervised.ts';
import { configFor, directWay } from '../../test/system/haproxys.ts';
import { APP, answeredByGateway, startGateway, writeGatewayConfig } from './holdfast.ts';
import { proxyConfig, startNginx } from './nginx.ts';
import { APP_ADDRESS, answers, node, type Place, startPinned } from './place.ts';

/** A proxy that is up. */
export interface Running {
  /** All processes that it takes. */
  pids(): number[];
  /** Requests that have come by way of Node until now, where none should. */
  throughNode?(signal: AbortSignal): Promise<number>;
  stop(): Promise<void>;
}

export interface ProxyOptions {
  /** For its files; empty at the beginning, removed at the end. */
  readonly dir: string;
  readonly core: number;
  readonly place: Place;
}

export interface ProxyKind {
  readonly key: string;
  readonly title: string;
  /** When it takes longer than for others until all is as it stays. */
  readonly warmUpS?: number;
  start(options: ProxyOptions): Promise<Running>;
}

export const ALONE = 'haproxy';
export const UNDER_HOLDFAST = 'haproxy-holdfast';

/** Those that are compared pairwise stand next to each other. */
export const proxies: readonly ProxyKind[] = [
  { key: ALONE, title: 'HAProxy alone', start: startAlone },
  // The gateway looks at HAProxy every five seconds: it takes some looks until that is compiled.
  { key: UNDER_HOLDFAST, title: 'HAProxy under Holdfast', warmUpS: 12, start: startUnderHoldfast },
  { key: 'built-in', title: "Holdfast's built-in gate", start: startBuiltIn },
  { key: 'nginx', title: 'nginx', start: startNginxProxy },
  { key: 'http-proxy', title: 'http-proxy', start: startHttpProxy },
];

function edition(core: number): Edition {
  return { name: 'the HAProxy of this machine', core };
}

/** Without Holdfast: one app, and for the rest what `gateway haproxy config` has, too. */
async function startAlone({ core, place }: ProxyOptions): Promise<Running> {
  const haproxy = await Haproxy.start({
    edition: edition(core),
    config: ({ socket }) => `global
  log stdout format raw local0 notice
  stats socket ${socket} mode 600 level admin
defaults
  mode http
  log global
  option idle-close-on-response
  option redispatch
  timeout connect 1s
  timeout check 2s
  timeout client 60s
  timeout server 95s
  timeout http-request 10s
  timeout http-keep-alive 60s
  timeout tunnel 1h
frontend users
  bind ${place.users}
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request del-header Forwarded
  default_backend app
backend app
  server app ${APP_ADDRESS} check inter 200ms rise 1 fall 8
`,
  });
  return { pids: () => haproxy.pids(), stop: () => haproxy.stop() };
}

/** As `gateway haproxy config` has it, with a gateway that drives it. The gateway is on the same core, and counted. */
async function startUnderHoldfast({ dir, core, place }: ProxyOptions): Promise<Running> {
  const program = path.join(repoDir, build(), 'gateway/main.js');
  const haproxy = await Haproxy.create(edition(core));
  const { admin } = place;
  let gateway: Supervised | undefined;
  const stop = async () => {
    await gateway?.stop();
    await haproxy.stop();
  };
  try {
    const { masterSocket, map, socket } = haproxy;
    const gate = { type: 'haproxy' as const, sockets: [masterSocket], map };
    const configFile = await writeGatewayConfig(dir, { listen: place.gate, admin }, gate);
    await haproxy.begin(await configFor(program, configFile, { bind: place.users, socket }));
    gateway = await startGateway({ program, dir, configFile, core, admin });
    const { pid } = gateway;
    await directWay(haproxy, APP);
    return {
      pids: () => [...haproxy.pids(), ...(pid === undefined ? [] : [pid])],
      throughNode: async (signal) =>
        Math.max(await sentToGate(haproxy, signal), await answeredByGateway(admin, signal)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** By HAProxy's own count. */
async function sentToGate({ masterSocket }: Haproxy, signal: AbortSignal): Promise<number> {
  const runtime = new OneShotRuntime({ address: { path: masterSocket } });
  const [stats] = await runtime.ask([showStat({ kinds: [StatKind.server] })], signal);
  return stats
    .filter(({ proxy, name }) => proxy === GATE_BACKEND || name === GATE_SERVER)
    .reduce((sum, { totalSessions }) => sum + totalSessions, 0);
}

async function startBuiltIn({ dir, core, place }: ProxyOptions): Promise<Running> {
  const program = path.join(repoDir, build(), 'gateway/main.js');
  const configFile = await writeGatewayConfig(dir, { listen: place.users, admin: place.admin }, undefined);
  const gateway = await startGateway({ program, dir, configFile, core, admin: place.admin });
  return running(gateway);
}

async function startNginxProxy({ dir, core, place: { users } }: ProxyOptions): Promise<Running> {
  return running(
    await startNginx({ name: 'proxy', dir, config: proxyConfig(users), core, url: `http://${users}/` }),
  );
}

async function startHttpProxy({ dir, core, place: { users } }: ProxyOptions): Promise<Running> {
  const program = path.join(repoDir, 'bench/steady/http-proxy.mjs');
  const proxy = new Supervised({
    name: 'http-proxy',
    logFile: path.join(dir, 'http-proxy.log'),
    spawn: (output) => startPinned(core, node('--no-deprecation', program, users, APP_ADDRESS), output),
    ready: (signal) => answers(`http://${users}/`, signal),
  });
  await proxy.start({ supervise: false });
  return running(proxy);
}

function running(program: Supervised): Running {
  return {
    pids: () => (program.pid === undefined ? [] : [program.pid]),
    stop: () => program.stop(),
  };
}
