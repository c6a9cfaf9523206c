import { advised, beginning, header, type Need, option, required, timeout, value } from './config-needs.ts';
import { type AppText, appRoutes, gateWay } from './config-routes.ts';
import { appServer, backupServer, gateServer } from './config-servers.ts';
import { judgeSockets } from './config-sockets.ts';
import { backendOf, GATE_BACKEND } from './names.ts';

export type { AppText };

export interface ConfigTextOptions {
  /** Where users come in: `:80`, `10.0.0.1:8000`. */
  readonly bind: string;
  /** Where Holdfast takes what is to be held, as HAProxy reaches it. */
  readonly gate: string;
  /** The gate takes the client from a header of the PROXY protocol. */
  readonly proxyProtocol?: boolean;
  readonly map: string;
  /** Of a worker, when Holdfast is not to use that of the master. */
  readonly statsSocket: string;
  /** The runtime sockets that Holdfast is given. */
  readonly sockets?: readonly string[];
  readonly apps: readonly AppText[];
  /** How long a request may be held. */
  readonly longestHoldMs?: number;
  readonly timeouts: {
    readonly connectMs: number;
    /** A held request is answered late: its hold is in this time. */
    readonly serverMs: number;
    readonly clientMs: number;
    readonly requestHeadMs: number;
    readonly keepAliveMs: number;
  };
}

/** A part of haproxy.cfg, and what is needed in it. */
export interface NeededSection {
  readonly kind: 'global' | 'frontend' | 'backend';
  readonly name: string;
  readonly needs: readonly Need[];
}

/** What may as well be said in a section itself as in its defaults. */
export interface DefaultNeed extends Need {
  readonly of: 'frontends' | 'backends' | 'both';
}

/** Otherwise it would be the time between two. */
const CHECK_MS = 2_000;
const ABOUT_LOG = 'What HAProxy has to tell.';
const ABOUT_CLIENT = 'Who asks, for the app: the same on either way.';

export function neededSections(options: ConfigTextOptions): NeededSection[] {
  const { apps, bind, gate: address, map, proxyProtocol = false, sockets = [], statsSocket } = options;
  const gate = { address, proxyProtocol };
  return [
    {
      kind: 'global',
      name: '',
      needs: [
        advised('log stdout format raw local0 notice', ABOUT_LOG, beginning('log')),
        required(
          `stats socket ${statsSocket} mode 600 level admin`,
          'To change servers and maps takes level admin: whoever may open this socket may do so.',
          judgeSockets(sockets),
        ),
        advised(
          'hard-stop-after 1h',
          'What a worker has in hand at a reload is let finish, this long at most.',
          beginning('hard-stop-after'),
        ),
      ],
    },
    {
      kind: 'frontend',
      name: 'holdfast',
      needs: [
        required(
          `bind ${bind}`,
          'TLS and HTTP/2 end here:  bind :443 ssl crt /etc/haproxy/certs alpn h2,http/1.1',
          beginning('bind'),
        ),
        advised(
          'http-request set-header X-Forwarded-For %[src]',
          ABOUT_CLIENT,
          header('x-forwarded-for', 'forwardfor'),
        ),
        advised(
          'http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]',
          ABOUT_CLIENT,
          header('x-forwarded-proto'),
        ),
        advised(
          'http-request set-header X-Forwarded-Host %[req.hdr(host)]',
          ABOUT_CLIENT,
          header('x-forwarded-host'),
        ),
        advised('http-request del-header Forwarded', ABOUT_CLIENT),
        ...appRoutes(map, apps),
        gateWay(map, apps),
      ],
    },
    { kind: 'backend', name: GATE_BACKEND, needs: [gateServer(gate)] },
    ...apps.map(({ name }): NeededSection => {
      return { kind: 'backend', name: backendOf(name), needs: [appServer(), backupServer(gate)] };
    }),
  ];
}

export function neededDefaults({ timeouts, longestHoldMs }: ConfigTextOptions): DefaultNeed[] {
  const { connectMs, clientMs, serverMs, requestHeadMs, keepAliveMs } = timeouts;
  const time = (name: string, ms: number, why: string) =>
    advised(`timeout ${name} ${ms}ms`, why, timeout(name, ms));
  return [
    {
      ...required(
        'mode http',
        'Requests are told apart, and go one way or the other.',
        value('mode', 'http'),
      ),
      of: 'both',
    },
    { ...advised('log global', ABOUT_LOG, beginning('log')), of: 'frontends' },
    {
      ...advised(
        'option idle-close-on-response',
        'A worker that is leaving after a reload answers once more before it closes a user’s idle connection.',
        option('idle-close-on-response'),
      ),
      of: 'frontends',
    },
    {
      ...advised(
        'option redispatch',
        'A request that finds nobody where the app was goes by way of the gate after its retries.',
        option('redispatch'),
      ),
      of: 'backends',
    },
    { ...time('connect', connectMs, 'How long an app may take to accept a connection.'), of: 'backends' },
    { ...time('check', CHECK_MS, 'How long a health check may take to be answered.'), of: 'backends' },
    { ...time('client', clientMs, 'How long a user may say nothing.'), of: 'frontends' },
    {
      ...required(
        `timeout server ${serverMs}ms`,
        'A request that is held waits for its answer for as long as the hold lasts: this is longer.',
        timeout('server', serverMs, longestHoldMs),
      ),
      of: 'backends',
    },
    { ...time('http-request', requestHeadMs, 'Until a request’s head is there.'), of: 'frontends' },
    { ...time('http-keep-alive', keepAliveMs, 'Until the next request begins.'), of: 'frontends' },
    {
      ...advised(
        'timeout tunnel 1h',
        'Upgraded connections (WebSockets); a move waits for their end.',
        beginning('timeout', 'tunnel'),
      ),
      of: 'backends',
    },
  ];
}

/** A whole haproxy.cfg, with comments, that `haproxy -c` accepts from 2.6 on. */
export function haproxyConfig(options: ConfigTextOptions): string {
  const [global, ...others] = neededSections(options);
  const sections = [
    ...(global === undefined ? [] : [global]),
    { kind: 'defaults', name: '', needs: neededDefaults(options) },
    ...others,
  ];
  return `# HAProxy in front of apps that Holdfast moves, from \`gateway haproxy config\`.
#
# While nothing moves, HAProxy sends requests to the apps itself. During a move Holdfast has it send an app's requests to
# the gate instead, which holds them until the app is at its new place. Holdfast drives HAProxy over the runtime socket:
# where each app is, and the map that says of each whether it is reached directly. What the map does not say goes by way
# of the gate, so a HAProxy that was just started or reloaded is on the safe side until Holdfast has told it more.
#
# Once:  touch ${options.map}
# Start it with a master process, which also tells of workers that are leaving after a reload, and give that socket to
# Holdfast (gate.sockets):  haproxy -W -S /run/haproxy-master.sock -f /etc/haproxy/haproxy.cfg
# Debian's service does so already.
${sections.map(printer()).join('')}`;
}

const ABOUT_SECTIONS: Readonly<Record<string, string>> = {
  [GATE_BACKEND]:
    'Holdfast’s own gate. It believes what HAProxy says of the client, so nobody else should reach it.',
};

/** Prints sections, and what a line is for the first time it is there. */
function printer() {
  const said = new Set(['']);
  return ({ kind, name, needs }: { kind: string; name: string; needs: readonly Need[] }): string => {
    const lines = ['', ...comment(ABOUT_SECTIONS[name] ?? '', ''), `${kind} ${name}`.trim()];
    for (const { text, why } of needs) {
      if (!said.has(why)) lines.push(...comment(why, '  '));
      said.add(why);
      lines.push(`  ${text}`);
    }
    return lines.map((line) => `${line}\n`).join('');
  };
}

const WIDTH = 110;

function comment(text: string, indent: string): string[] {
  if (text === '') return [];
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
