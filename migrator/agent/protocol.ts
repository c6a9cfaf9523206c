import { type Static, Type } from '@sinclair/typebox';
import { DumpMemory } from '../engine/engine.ts';
import { LEAST_RATE_BPS } from '../rate.ts';

/**
 * What the gateway says to an agent, and one agent to another: JSON over HTTPS with mutual TLS.
 *
 * | call | role | who may |
 * |---|---|---|
 * | `GET /v1/info` | – | gateway |
 * | `GET /v1/containers` | – | gateway |
 * | `POST /v1/containers/NAME/start`, `…/remove` | – | gateway |
 * | `POST /v1/containers/NAME/measure` | source | gateway: memory, and the link to another agent |
 * | `GET`, `PUT /v1/probe` | destination | another agent: how fast is the link? |
 * | `POST /v1/migrations/ID/examine` | source | gateway |
 * | `POST /v1/migrations/ID/admit` | destination | gateway |
 * | `POST /v1/migrations/ID/prepare` | destination | gateway |
 * | `POST /v1/migrations/ID/connect` | source | gateway |
 * | `POST /v1/migrations/ID/bring` | source | gateway: send ahead what the container owns besides its memory |
 * | `POST /v1/migrations/ID/pre-copy` | source | gateway; `bring` may be under way meanwhile |
 * | `POST /v1/migrations/ID/get-ready` | source | gateway: what has changed goes along, and the rest stands ready |
 * | `POST /v1/migrations/ID/stand-by` | destination | gateway: the freeze is next |
 * | `POST /v1/migrations/ID/freeze` | source | gateway |
 * | `POST /v1/migrations/ID/dump` | source | gateway |
 * | `POST /v1/migrations/ID/send` | source | gateway |
 * | `GET  /v1/migrations/ID/images` | destination | another agent: may I send, and what can you decode? |
 * | `PUT  /v1/migrations/ID/pages` | destination | another agent: memory ahead of the checkpoint, in the same stream |
 * | `PUT  /v1/migrations/ID/images` | destination | another agent; the stream is told in docs/transfer.md |
 * | `POST /v1/migrations/ID/belongings/WHAT` | destination | another agent: a stream between its engine and the one here, see docs/transfer.md |
 * | `POST /v1/migrations/ID/restore` | destination | gateway |
 * | `POST /v1/migrations/ID/resume` | destination | gateway: let what was restored frozen go on |
 * | `POST /v1/migrations/ID/sums` | both | gateway: checksums of what the frozen processes have in memory |
 * | `POST /v1/migrations/ID/sums/PID` | both | gateway: the same of one process, by ranges |
 * | `POST /v1/migrations/ID/health` | destination | gateway |
 * | `POST /v1/migrations/ID/commit` | destination | gateway: the instance is for good |
 * | `POST /v1/migrations/ID/memory` | source | another agent's pager: memory of the frozen processes, see docs/lazy-pages.md |
 * | `POST /v1/migrations/ID/page-in` | destination | gateway: wait until every page is over, at what is committed or stands still |
 * | `POST /v1/migrations/ID/discard` | destination | gateway: undo everything of this migration here |
 * | `POST /v1/migrations/ID/thaw` | source | gateway: undo everything of this migration here |
 * | `POST /v1/migrations/ID/finish` | source | gateway: the destination is for good, remove the container here |
 *
 * Errors are `{code, message, mend?, retryable}` with a 4xx or 5xx status. `discard`, `thaw`, `commit` and `finish`
 * may be repeated, also by a restarted gateway to a restarted agent, and so may `page-in`. What is over stays over: after `discard`, or
 * after the lease ran out, `commit` fails with `LEASE_EXPIRED`; after `commit`, `discard` fails with
 * `MIGRATION_OVER`, as `finish` does after `thaw` and `thaw` after `finish`. `thaw` fails with `INSTANCE_LOST` when what
 * was frozen is gone. `thaw` and `discard` end what is under
 * way for their migration. When the pages an instance still needs are lost, it is gone, and `commit` and `page-in` fail
 * with `PAGES_LOST` from then on: only after that may the source of a committed instance be thawed. `prepare` wants an `admit` of the same migration before it: that bounds what may be sent.
 */
export const Nothing = Type.Object({});

export const ErrorReply = Type.Object({
  code: Type.String(),
  message: Type.String(),
  mend: Type.Optional(Type.String()),
  retryable: Type.Boolean(),
});

/** What one agent puts to another: pages sent ahead, then the checkpoint. */
export const Upload = { pages: 'pages', images: 'images' } as const;
export type Upload = (typeof Upload)[keyof typeof Upload];

export const AgentInfo = Type.Object({
  host: Type.String(),
  version: Type.String(),
  engines: Type.Array(Type.String()),
  /** Whether memory can be brought here after the restore. */
  lazyPages: Type.Boolean(),
});
export type AgentInfo = Static<typeof AgentInfo>;

export const MigrationRole = { source: 'source', destination: 'destination' } as const;
export type MigrationRole = (typeof MigrationRole)[keyof typeof MigrationRole];

/** Of a container whose engine does not answer: it may be running. */
export const STATE_UNKNOWN = 'unknown';

export const ContainerReport = Type.Object({
  name: Type.String(),
  engine: Type.String(),
  state: Type.Union([
    Type.Literal('absent'),
    Type.Literal('running'),
    Type.Literal('frozen'),
    Type.Literal('stopped'),
    Type.Literal(STATE_UNKNOWN),
  ]),
  port: Type.Integer(),
  /** The migration that has this container in its hands here, if any. */
  migration: Type.Optional(
    Type.Object({
      id: Type.String(),
      role: Type.Union([Type.Literal('source'), Type.Literal('destination')]),
    }),
  ),
});
export type ContainerReport = Static<typeof ContainerReport>;

export const ContainersReply = Type.Object({ containers: Type.Array(ContainerReport) });
export type ContainersReply = Static<typeof ContainersReply>;

export const Finding = Type.Object({ code: Type.String(), message: Type.String(), mend: Type.String() });

export const Footprint = Type.Object({
  engine: Type.String(),
  port: Type.Integer(),
  memoryBytes: Type.Integer({ minimum: 0 }),
  processes: Type.Integer({ minimum: 0 }),
  evidence: Type.Record(Type.String(), Type.String()),
});

export const ExamineRequest = Type.Object({ container: Type.String() });
/** `brings`: whether the container has belongings, so that `bring`, `get-ready` and `stand-by` are to be called. */
export const ExamineReply = Type.Object({
  footprint: Footprint,
  findings: Type.Array(Finding),
  brings: Type.Boolean(),
});

/** What a move may send, in bits a second, when it is limited. */
const limitRateBps = Type.Optional(Type.Integer({ minimum: LEAST_RATE_BPS }));

/** `to`: the other agent. */
export const MeasureRequest = Type.Object({ to: Type.String({ pattern: '^https://' }), limitRateBps });
export type MeasureRequest = Static<typeof MeasureRequest>;
/** See `MemorySurvey` and `MeasuredLink`. */
export const MeasureReply = Type.Object({
  memory: Type.Object({
    processes: Type.Integer(),
    privateBytes: Type.Integer(),
    swappedBytes: Type.Integer(),
    sharedBytes: Type.Integer(),
    zeroShare: Type.Number(),
    distinctShare: Type.Number(),
    encodedShare: Type.Number(),
    encodeRateBpms: Type.Number(),
    readRateBpms: Type.Number(),
    dirtyRateBpms: Type.Number(),
    hotBytes: Type.Number(),
  }),
  link: Type.Object({ rttMs: Type.Number(), rateBpms: Type.Number() }),
});
export type MeasureReply = Static<typeof MeasureReply>;

export const AdmitRequest = Type.Object({ container: Type.String(), footprint: Footprint });
export const AdmitReply = Type.Object({ findings: Type.Array(Finding) });

/** `leaseMs`: an instance restored here and not committed within this time of the restore destroys itself. */
export const PrepareRequest = Type.Object({
  container: Type.String(),
  leaseMs: Type.Integer({ minimum: 1000 }),
  /** The source's agent, when memory is to be fetched from it on demand once the app runs here. */
  pagesFrom: Type.Optional(Type.String({ pattern: '^https://' })),
});

export const DumpRequest = Type.Object({ memory: Type.Enum(DumpMemory) });

/** What a destination answers to `GET …/images`. */
export const ImagesOffer = Type.Object({
  /** The encodings it can undo, the best first. */
  encodings: Type.Array(Type.String()),
  /** How much it will keep of what is sent ahead. */
  keepBytes: Type.Integer({ minimum: 0 }),
});
export type ImagesOffer = Static<typeof ImagesOffer>;

/** Opens the connection that the images will travel on, so that the frozen time does not pay for handshakes. */
export const ConnectRequest = Type.Object({
  container: Type.String(),
  to: Type.String({ pattern: '^https://' }),
  limitRateBps,
});

/** `frozenAtMs`: when the freeze began, in milliseconds after the agent received the request. */
export const FreezeReply = Type.Object({ frozenAtMs: Type.Number() });
export const PreCopyReply = Type.Object({
  rounds: Type.Integer(),
  /** Of pages sent ahead, before encoding. */
  pageBytes: Type.Integer(),
  /** On the wire, TLS included. */
  bytesSent: Type.Integer(),
});
/** See `CarriedBytes`. */
const Carried = { layerBytes: Type.Integer(), fileBytes: Type.Integer() };
export const BringReply = Type.Object({
  ...Carried,
  /** On the wire so far, TLS included, without memory. */
  bytesSent: Type.Integer(),
});
export const SendReply = Type.Object({
  /** On the wire since the link was opened, TLS included: what was sent ahead is in it. */
  bytesSent: Type.Integer(),
  /** What the checkpoint measures on disk. */
  imageBytes: Type.Integer(),
  /** Of what the container owns besides, what went over during the freeze. */
  ...Carried,
  /** From the beginning of the dump, beside which that goes, until it was taken in there. */
  lastPassMs: Type.Number(),
});
/** `frozen`: no process is to run before `resume`. */
export const RestoreRequest = Type.Object({ frozen: Type.Optional(Type.Boolean()) });
/** Processes by their pids inside the container. */
export const SumsReply = Type.Object({
  processes: Type.Array(Type.Object({ pid: Type.Integer(), sizeBytes: Type.Integer(), sum: Type.String() })),
});
export const RangeSumsReply = Type.Object({
  ranges: Type.Array(Type.Object({ start: Type.String(), sum: Type.String() })),
});
/** `sinceRunningMs`: how long before this reply was written the first process ran. */
export const RestoreReply = Type.Object({ sinceRunningMs: Type.Number() });

export const PageInReply = Type.Object({
  /** From the first page asked for until all were over. */
  pageInMs: Type.Number(),
  /** Of pages given from what was sent ahead, and of those fetched from the source. */
  fromStoreBytes: Type.Integer(),
  fromSourceBytes: Type.Integer(),
  /** How often a page had to be waited for. */
  waits: Type.Integer(),
  /** On the wire between the agents for it, both ways, TLS included. */
  bytesSent: Type.Integer(),
});

export type ExamineRequest = Static<typeof ExamineRequest>;
export type AdmitRequest = Static<typeof AdmitRequest>;
export type PrepareRequest = Static<typeof PrepareRequest>;
export type ConnectRequest = Static<typeof ConnectRequest>;
export type ExamineReply = Static<typeof ExamineReply>;
export type AdmitReply = Static<typeof AdmitReply>;
export type FreezeReply = Static<typeof FreezeReply>;
export type PreCopyReply = Static<typeof PreCopyReply>;
export type BringReply = Static<typeof BringReply>;
export type SendReply = Static<typeof SendReply>;
export type RestoreRequest = Static<typeof RestoreRequest>;
export type DumpRequest = Static<typeof DumpRequest>;
export type PageInReply = Static<typeof PageInReply>;
export type RestoreReply = Static<typeof RestoreReply>;
export type SumsReply = Static<typeof SumsReply>;
export type RangeSumsReply = Static<typeof RangeSumsReply>;
