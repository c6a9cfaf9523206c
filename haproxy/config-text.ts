import { APP_SERVER, backendOf, GATE_BACKEND, GATE_SERVER, Way } from './names.ts';

export interface ConfigTextOptions {
  /** Where users come in: `:80`, `10.0.0.1:8000`. */
  readonly bind: string;
  /** Where Holdfast takes what is to be held, as HAProxy reaches it. */
  readonly gate: string;
  readonly map: string;
  /** Of a worker, when Holdfast is not to use that of the master. */
  readonly statsSocket: string;
  readonly apps: readonly AppText[];
  readonly timeouts: {
    readonly connectMs: number;
    /** A held request is answered late: its hold is in this time. */
    readonly serverMs: number;
    readonly clientMs: number;
    readonly requestHeadMs: number;
    readonly keepAliveMs: number;
  };
}

export interface AppText {
  readonly name: string;
  /** Undefined: any host, any path. */
  readonly matches: readonly { readonly host?: string | undefined; readonly path?: string | undefined }[];
}

/** A whole haproxy.cfg, with comments, that `haproxy -c` accepts from 2.6 on. */
export function haproxyConfig(options: ConfigTextOptions): string {
  const { bind, gate, map, statsSocket, apps, timeouts } = options;
  return `# HAProxy in front of apps that Holdfast moves, from \`gateway haproxy config\`.
#
# While nothing moves, HAProxy sends requests to the apps itself. During a move Holdfast has it send an app's requests to
# the gate instead, which holds them until the app is at its new place. Holdfast drives HAProxy over the runtime socket:
# where each app is, and the map that says of each whether it is reached directly. What the map does not say goes by way
# of the gate, so a HAProxy that was just started or reloaded is on the safe side until Holdfast has told it more.
#
# Once:  touch ${map}
# Start it with a master process, which also tells of workers that are leaving after a reload, and give that socket to
# Holdfast (gate.sockets):  haproxy -W -S /run/haproxy-master.sock -f /etc/haproxy/haproxy.cfg
# Debian's service does so already.

global
  log stdout format raw local0 notice
  # To change servers and maps takes level admin: whoever may open this socket may do so.
  stats socket ${statsSocket} mode 600 level admin
  # What a worker has in hand at a reload is let finish, this long at most.
  hard-stop-after 1h

defaults
  mode http
  log global
  # Connections to an app are kept for the next request, and all closed before a move.
  option http-keep-alive
  # A worker that is leaving after a reload answers once more before it closes a user's idle connection.
  option idle-close-on-response
  timeout connect ${timeouts.connectMs}ms
  timeout client ${timeouts.clientMs}ms
  # A request that is held waits for its answer for as long as the hold lasts: this is longer.
  timeout server ${timeouts.serverMs}ms
  timeout http-request ${timeouts.requestHeadMs}ms
  timeout http-keep-alive ${timeouts.keepAliveMs}ms
  # Upgraded connections (WebSockets); a move waits for their end.
  timeout tunnel 1h

frontend holdfast
  bind ${bind}
  # TLS and HTTP/2 end here:  bind :443 ssl crt /etc/haproxy/certs alpn h2,http/1.1

  # Who asks, for the app: the same on either way.
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http unless { ssl_fc }
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request del-header Forwarded

  # Which app: the most exact host decides, then the longest path.
${routes(apps)}
  # Which way. Nobody's requests go to the gate too, and are answered 404 there.
  use_backend ${backendOf('%[var(txn.holdfast_app)]')} if { var(txn.holdfast_app),map(${map},${Way.gate}) -m str ${Way.direct} }
  default_backend ${GATE_BACKEND}

# Holdfast's own gate. It takes what HAProxy says of the client as it is, so nobody else should reach it.
backend ${GATE_BACKEND}
  server ${GATE_SERVER} ${gate}
${apps.map((app) => backend(app, gate)).join('')}`;
}

function backend({ name }: AppText, gate: string): string {
  return `
# Where the app is, Holdfast says; until then it is in maintenance, and the gate takes its place.
backend ${backendOf(name)}
  balance roundrobin
  # Add "option httpchk GET /health" if the app has such a page; as it is, its port must take connections.
  server ${APP_SERVER} 127.0.0.1:1 check inter 500ms rise 1 fall 3 disabled
  server ${GATE_SERVER} ${gate} backup
`;
}

interface Match {
  readonly app: string;
  readonly host: string | undefined;
  readonly path: string;
}

function routes(apps: readonly AppText[]): string {
  const matches = apps.flatMap(({ name, matches }) =>
    matches.map(
      ({ host, path = '/' }): Match => ({
        app: name,
        host: host?.toLowerCase(),
        path: path.endsWith('/') ? path.slice(0, -1) : path,
      }),
    ),
  );
  return matches
    .sort((a, b) => rank(b.host) - rank(a.host) || b.path.length - a.path.length)
    .map(route)
    .join('');
}

/** Exact hosts, then wildcards with the longest first, then any. */
function rank(host: string | undefined): number {
  if (host === undefined) return -1;
  return host.startsWith('*.') ? host.length : 1_000;
}

function route({ app, host, path }: Match, index: number): string {
  const name = `holdfast_${index}`;
  const lines: string[] = [];
  const conditions = ['!{ var(txn.holdfast_app) -m found }'];
  if (host !== undefined) {
    const [how, what] = host.startsWith('*.') ? ['end', host.slice(1)] : ['str', host];
    lines.push(`  acl ${name}_host req.hdr(host),field(1,:),lower -m ${how} ${what}`);
    conditions.push(`${name}_host`);
  }
  if (path !== '') {
    lines.push(`  acl ${name}_path path -m str ${path}`, `  acl ${name}_path path_beg ${path}/`);
    conditions.push(`${name}_path`);
  }
  lines.push(`  http-request set-var(txn.holdfast_app) str(${app}) if ${conditions.join(' ')}`);
  return `${lines.join('\n')}\n`;
}
