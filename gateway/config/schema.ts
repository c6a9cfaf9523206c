import { type Static, Type } from '@sinclair/typebox';
import { RATE_PATTERN } from '../../migrator/rate.ts';
import { Upgrades } from '../gate/upgrades.ts';

const strict = { additionalProperties: false };
const Address = (description: string, fallback?: string) =>
  Type.String({
    description,
    pattern: '^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+):[0-9]{1,5}$',
    ...(fallback === undefined ? {} : { default: fallback }),
  });
const Origin = (description: string) =>
  Type.String({ description, pattern: '^https?://[^/?#@\\s]+/?$', examples: ['http://10.0.0.9:8080'] });
const Milliseconds = (description: string, fallback: number, minimum = 1) =>
  Type.Integer({ description, default: fallback, minimum, maximum: 86_400_000 });
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const MatchConfig = Type.Object(
  {
    host: Type.Optional(
      Type.String({
        description: 'The Host header without its port, or `*.example.com`; any when left out.',
        minLength: 1,
      }),
    ),
    path: Type.Optional(
      Type.String({
        description: 'Path prefix, on whole segments: `/shop` takes `/shop` and `/shop/cart`, not `/shops`.',
        pattern: '^/',
      }),
    ),
  },
  {
    ...strict,
    description: 'One way to reach the app. The longest matching path of the most exact host wins.',
  },
);

export const HoldConfig = Type.Object(
  {
    maxRequests: Type.Integer({
      description: 'Requests held at once; one more is answered 503 with Retry-After.',
      default: 10_000,
      minimum: 1,
    }),
    maxBytes: Type.Integer({
      description:
        'Bytes of requests held in memory at once: heads, and what of the bodies had already come.',
      default: 134_217_728,
      minimum: 65_536,
    }),
    maxMs: Milliseconds('How long one request is held before it is answered 503.', 30_000),
    drainTimeoutMs: Milliseconds(
      'How long requests in flight may take when the gate closes. After that the migration is called off, not the requests.',
      5_000,
    ),
    releaseConcurrency: Type.Integer({
      description: 'Requests the app has at once while the held ones are let go.',
      default: 64,
      minimum: 1,
    }),
    upgrades: Type.Unsafe<Upgrades>({
      type: 'string',
      enum: Object.values(Upgrades),
      description:
        'WebSockets and other upgraded connections when the gate closes. `wait`: they count as in flight. `close`: they are closed once nothing else is in flight, for clients that connect anew; that then waits like any request.',
      default: Upgrades.wait,
    }),
  },
  { ...strict, description: 'Bounds on what waits at the gate during a move.', default: {} },
);

export const AppConfig = Type.Object(
  {
    match: Type.Array(MatchConfig, { description: 'Which requests are this app’s.', minItems: 1 }),
    container: Type.Optional(
      Type.String({
        description:
          'The container’s name in the agents’ configuration. Exactly one of `container`, `upstream`.',
        minLength: 1,
      }),
    ),
    upstream: Type.Optional(
      Origin('Origin of an app that is not in a container of ours and is never moved.'),
    ),
    replica: Type.Optional(
      Origin('Origin that answers GET and HEAD while the app is held; everything else waits.'),
    ),
    limitRate: Type.Optional(
      Type.String({
        description:
          'What a move of the app sends at most, as `200mbit` or `25MB/s`, unless its order says otherwise. See docs/transfer.md.',
        pattern: RATE_PATTERN,
        examples: ['200mbit', '25MB/s'],
      }),
    ),
    hold: HoldConfig,
  },
  strict,
);

export const HostConfig = Type.Object(
  {
    agent: Type.String({
      description: 'Where the host’s agent listens.',
      pattern: '^https://[^/?#@\\s]+/?$',
      examples: ['https://10.0.0.2:7443'],
    }),
    address: Type.Optional(
      Type.String({
        description: 'The address its apps are reached at; the one in `agent` when left out.',
        minLength: 1,
      }),
    ),
  },
  strict,
);

export const GATE_TYPES = ['built-in', 'haproxy'] as const;
export type GateType = (typeof GATE_TYPES)[number];

export const GateConfig = Type.Object(
  {
    type: Type.Unsafe<GateType>({
      type: 'string',
      enum: GATE_TYPES,
      description:
        '`built-in`: all traffic comes in at `listen`. `haproxy`: HAProxy stands in front, and sends to `listen` only what is to be held.',
      default: 'built-in',
    }),
    sockets: Type.Array(Type.String({ pattern: '^(/.+|.+:[0-9]{1,5})$' }), {
      description:
        'Runtime sockets of the HAProxys, with level admin: paths or `ADDRESS:PORT`. Those of master processes (`-S`) are preferable.',
      default: [],
    }),
    optionalSockets: Type.Optional(
      Type.Array(Type.String({ pattern: '^(/.+|.+:[0-9]{1,5})$' }), {
        description:
          'Those of HAProxys that a move may leave out while they cannot be reached: no user may reach them then either. One of all must be.',
      }),
    ),
    map: Type.String({
      description:
        'The map file by which HAProxy is told where an app’s requests go, as its configuration names it.',
      default: '/etc/haproxy/holdfast.map',
      pattern: '^/[^\\s]+$',
    }),
  },
  { ...strict, description: 'What stands in front of the apps.', default: {} },
);

export const GatewayConfig = Type.Object(
  {
    listen: Address('Where the traffic comes in, `ADDRESS:PORT`.', '0.0.0.0:8080'),
    admin: Type.Object(
      {
        listen: Address('Where the admin API and the metrics are served.', '127.0.0.1:9100'),
        tokenFile: Type.Optional(
          Type.String({
            description:
              'File with the token every admin request must bear. Required unless `listen` is loopback.',
            minLength: 1,
          }),
        ),
        allowedHosts: Type.Array(Type.String({ minLength: 1 }), {
          description:
            'Names besides loopback and the address listened on that the Host header of an admin request may carry.',
          default: [],
        }),
      },
      { ...strict, description: 'The admin API.', default: {} },
    ),
    stateDir: Type.String({
      description: 'Directory for the journal and the last known placements; must survive a reboot.',
      default: '/var/lib/holdfast-gateway',
      minLength: 1,
    }),
    tls: Type.Optional(
      Type.Object(
        {
          ca: Type.String({ description: 'PEM file: the authority that signed the agents’ certificates.' }),
          cert: Type.String({ description: 'PEM file: the gateway’s own certificate.' }),
          key: Type.String({ description: 'PEM file: its private key.' }),
        },
        { ...strict, description: 'Mutual TLS to the agents; required when there are hosts.' },
      ),
    ),
    hosts: Type.Record(Type.String(), HostConfig, {
      description: 'The hosts that run containers, by name.',
      default: {},
    }),
    apps: Type.Record(Type.String(), AppConfig, {
      description: 'The apps, by name.',
      default: {},
    }),
    gate: GateConfig,
    trustForwarded: Type.Boolean({
      description:
        'The clients are proxies of yours: what their X-Forwarded headers say is kept and added to.',
      default: false,
    }),
    proxyProtocolFrom: Type.Array(Type.String({ minLength: 2 }), {
      description:
        'Addresses and networks whose connections begin with a PROXY protocol header (version 2), which tells of the client; all others are clients themselves.',
      default: [],
      examples: [['10.0.0.5', '10.1.0.0/16']],
    }),
    timeouts: Type.Object(
      {
        connectMs: Milliseconds('To connect to an app.', 5_000),
        responseMs: Milliseconds(
          'From a request being sent whole until the head of the app’s answer.',
          60_000,
        ),
        responseIdleMs: Milliseconds('Between two pieces of an answer.', 300_000),
        clientHeadMs: Milliseconds('Until a client’s request head is complete.', 30_000),
        keepAliveMs: Milliseconds('How long a client’s connection may idle between two requests.', 75_000),
      },
      { ...strict, description: 'Deadlines of the proxy.', default: {} },
    ),
    log: Type.Object(
      {
        level: Type.Unsafe<LogLevel>({
          type: 'string',
          enum: LOG_LEVELS,
          description: 'The least serious lines written.',
          default: 'info',
        }),
      },
      { ...strict, description: 'The log on standard output, JSON lines.', default: {} },
    ),
  },
  { ...strict, $schema: 'http://json-schema.org/draft-07/schema#', title: 'Holdfast gateway configuration' },
);
export type GatewayConfig = Static<typeof GatewayConfig>;
export type AppConfig = Static<typeof AppConfig>;
export type HoldConfig = Static<typeof HoldConfig>;
