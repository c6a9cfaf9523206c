import { type Static, Type } from '@sinclair/typebox';
import { AUTO, Outcome, STRATEGY_ORDERS, Step, Strategy, type StrategyOrder } from '../../migrator/events.ts';
import { LEAST_RATE_BPS } from '../../migrator/rate.ts';
import { GateState } from '../gate/state.ts';

const oneOf = <T extends string>(values: Record<string, T>, description: string) =>
  Type.Unsafe<T>({ type: 'string', enum: Object.values(values), description });
const strategyOrder = (description: string) =>
  Type.Unsafe<StrategyOrder>({ type: 'string', enum: [...STRATEGY_ORDERS], description });

export const ErrorReply = Type.Object(
  {
    code: Type.String({ description: 'Stable; docs/errors.md lists them all.' }),
    message: Type.String(),
    mend: Type.Optional(Type.String({ description: 'What to do next.' })),
    retryable: Type.Boolean({
      description: 'Whether the same call may work later without anything changed.',
    }),
  },
  { $id: 'Error', title: 'Error' },
);

export const MigrationOrder = Type.Object(
  {
    app: Type.String({ minLength: 1 }),
    to: Type.String({ minLength: 1, description: 'The host to move it to.' }),
    strategy: Type.Optional(
      strategyOrder(
        `How its memory gets there: ${AUTO}, the planner’s choice, unless it is given. With post-copy and hybrid both hosts are needed until the last page is over: should the source be lost for good before, what the app has done since the move is lost.`,
      ),
    ),
    maxFreezeMs: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Refuse a move that is to freeze the app for longer.' }),
    ),
    verify: Type.Optional(
      Type.Boolean({
        description:
          'Compare the memory of both ends before the app runs on; a difference is rolled back. With post-copy and hybrid all of it is fetched before, in the freeze.',
      }),
    ),
    limitRateBps: Type.Optional(
      Type.Integer({
        minimum: LEAST_RATE_BPS,
        description:
          'Send no more than so many bits a second, the freeze included; what the app’s configuration says unless it is given.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type MigrationOrder = Static<typeof MigrationOrder>;

const Prediction = Type.Object({
  strategy: oneOf(Strategy, 'By which it is made.'),
  frozenMs: Type.Number(),
  holdMs: Type.Number(),
  totalMs: Type.Number(),
  bytesSent: Type.Integer(),
  rounds: Type.Integer({ description: 'Of memory sent ahead.' }),
  bothHostsMs: Type.Number({ description: 'How long the app still needs both hosts after the commit.' }),
  remark: Type.String(),
});

export const PlanReply = Type.Object(
  {
    strategy: oneOf(Strategy, 'The one that is taken.'),
    reason: Type.String({ description: 'Why it is.' }),
    predictions: Type.Array(Prediction, { description: 'One for each strategy.' }),
    measured: Type.Object({
      rttMs: Type.Number({ description: 'Between the two agents.' }),
      rateBps: Type.Integer({ description: 'Bits a second from the source to the destination.' }),
      memoryBytes: Type.Integer(),
      dirtyBytesPerS: Type.Integer(),
      hotBytes: Type.Integer({ description: 'What is written again and again.' }),
      learntFrom: Type.Integer({ description: 'Past moves between these two hosts.' }),
    }),
  },
  { $id: 'Plan', title: 'Plan' },
);

const Figures = Type.Object({
  frozenMs: Type.Optional(Type.Number()),
  holdMs: Type.Optional(Type.Number()),
  totalMs: Type.Number(),
  bytesSent: Type.Optional(Type.Integer()),
  imageBytes: Type.Optional(Type.Integer()),
  layerBytes: Type.Optional(Type.Integer()),
  fileBytes: Type.Optional(Type.Integer()),
  heldRequests: Type.Optional(Type.Integer()),
  verifiedBytes: Type.Optional(Type.Integer()),
  pageInMs: Type.Optional(
    Type.Number({ description: 'From the first page fetched on demand until all were there.' }),
  ),
  fromStoreBytes: Type.Optional(Type.Integer({ description: 'Of pages given from what was sent ahead.' })),
  fromSourceBytes: Type.Optional(Type.Integer({ description: 'Of pages fetched from the source.' })),
  pageWaits: Type.Optional(Type.Integer({ description: 'How often the app waited for a page.' })),
});

export const MigrationReply = Type.Object(
  {
    id: Type.String(),
    app: Type.String(),
    from: Type.String(),
    to: Type.String(),
    strategy: strategyOrder('How its memory gets to the destination: as ordered, then as planned.'),
    limitRateBps: Type.Optional(
      Type.Integer({ description: 'What may be sent, in bits a second, when that was limited.' }),
    ),
    reason: Type.Optional(Type.String({ description: 'Why this strategy.' })),
    state: oneOf({ running: 'running', ...Outcome }, 'Running, or how it ended.'),
    step: Type.Optional(oneOf(Step, 'The step under way, while running.')),
    startedAt: Type.String({ format: 'date-time' }),
    steps: Type.Array(Type.Object({ step: oneOf(Step, 'A step made.'), durationMs: Type.Number() })),
    predicted: Type.Optional(Prediction),
    figures: Type.Optional(Figures),
    error: Type.Optional(Type.Ref('Error')),
  },
  { $id: 'Migration', title: 'Migration' },
);

export const AppReply = Type.Object(
  {
    app: Type.String(),
    kind: oneOf({ container: 'container', upstream: 'upstream' }, 'Whether it can be moved.'),
    host: Type.Optional(Type.String({ description: 'Where it runs, as far as is known.' })),
    url: Type.Optional(Type.String({ description: 'The origin its requests are sent to.' })),
    replica: Type.Optional(Type.String()),
    migration: Type.Optional(Type.String({ description: 'The migration that moves it now.' })),
    gate: Type.Object({
      state: oneOf(GateState, 'Whether requests pass.'),
      inFlightRequests: Type.Integer({ description: 'At the app now.' }),
      heldRequests: Type.Integer(),
      heldBytes: Type.Integer(),
    }),
  },
  { $id: 'App', title: 'App' },
);
export type AppReply = Static<typeof AppReply>;

export const HostReply = Type.Object(
  {
    host: Type.String(),
    agent: Type.String({ description: 'Where its agent listens.' }),
    reachable: Type.Boolean(),
    version: Type.Optional(Type.String()),
    engines: Type.Optional(Type.Array(Type.String())),
    error: Type.Optional(Type.Ref('Error')),
  },
  { $id: 'Host', title: 'Host' },
);
export type HostReply = Static<typeof HostReply>;

export const HaproxyReply = Type.Object(
  {
    haproxy: Type.String({ description: 'Its runtime socket.' }),
    optional: Type.Boolean({ description: 'A move may leave it out while it cannot be reached.' }),
    reachable: Type.Boolean({ description: 'When it was last looked at, a second ago at most.' }),
    error: Type.Optional(Type.Ref('Error')),
  },
  { $id: 'Haproxy', title: 'HAProxy' },
);
export type HaproxyReply = Static<typeof HaproxyReply>;

export const StatusReply = Type.Object({
  version: Type.String(),
  hosts: Type.Array(Type.Ref('Host')),
  haproxys: Type.Array(Type.Ref('Haproxy'), { description: 'Those in front; none with the built-in gate.' }),
  apps: Type.Array(Type.Ref('App')),
  migrations: Type.Array(Type.Ref('Migration'), { description: 'Those under way.' }),
});

export const StartOrder = Type.Object(
  { host: Type.String({ minLength: 1 }) },
  { additionalProperties: false },
);
export type StartOrder = Static<typeof StartOrder>;

export const StopOrder = Type.Object(
  {
    host: Type.Optional(
      Type.String({ minLength: 1, description: 'Stop it on this host only: ends one of two copies.' }),
    ),
  },
  { additionalProperties: false },
);
export type StopOrder = Static<typeof StopOrder>;

export const AppParams = Type.Object({ app: Type.String() });
export const MigrationParams = Type.Object({ id: Type.String() });
export type AppParams = Static<typeof AppParams>;
export type MigrationParams = Static<typeof MigrationParams>;
