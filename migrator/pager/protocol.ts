import { type Static, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { HoldfastError } from '../errors.ts';

/** Where a pager is in its life. The last three are ends. */
export const PagerState = {
  /** Started; its links to the source are being made. */
  starting: 'starting',
  /** The links stand ready: the freeze may come. */
  ready: 'ready',
  /** `criu lazy-pages` listens in the work directory: the restore may begin. */
  listening: 'listening',
  /** The restored processes ask for pages. */
  serving: 'serving',
  /** Every page is over, or nobody is left who could ask for one: the source is needed no more. */
  complete: 'complete',
  /** Pages cannot be had any more. Every process of the container here was killed before this was said. */
  failed: 'failed',
  /** It was told to end. Every process that could still have asked for a page was killed before. */
  stopped: 'stopped',
} as const;
export type PagerState = (typeof PagerState)[keyof typeof PagerState];

/** What was done so far. Sizes are of whole pages, before encoding. */
export const PagerFigures = Type.Object({
  /** Memory that was left at the source by the dump. */
  lazyBytes: Type.Integer({ minimum: 0 }),
  /** What of it no process has got yet. Memory the app gives up meanwhile is never asked for. */
  remainingBytes: Type.Integer({ minimum: 0 }),
  /** Given from the store: sent ahead, and unchanged by the source's word. */
  fromStoreBytes: Type.Integer({ minimum: 0 }),
  /** Given from the source, zeros left out. */
  fromSourceBytes: Type.Integer({ minimum: 0 }),
  /** Requests for a page that had to wait for the source. */
  waits: Type.Integer({ minimum: 0 }),
  /** The longest of them. */
  longestWaitMs: Type.Number({ minimum: 0 }),
  /** How often a link to the source had to be made anew. */
  reconnects: Type.Integer({ minimum: 0 }),
  /** What the source put on the wire, TLS included, and what was asked of it. */
  bytesReceived: Type.Integer({ minimum: 0 }),
  bytesSent: Type.Integer({ minimum: 0 }),
  /** Since the first process asked. */
  servingMs: Type.Number({ minimum: 0 }),
});
export type PagerFigures = Static<typeof PagerFigures>;

export const NO_FIGURES: PagerFigures = {
  lazyBytes: 0,
  remainingBytes: 0,
  fromStoreBytes: 0,
  fromSourceBytes: 0,
  waits: 0,
  longestWaitMs: 0,
  reconnects: 0,
  bytesReceived: 0,
  bytesSent: 0,
  servingMs: 0,
};

/** One line of what a pager says over its socket: at once to whoever connects, and whenever its state changes. */
export const PagerStatus = Type.Object({
  state: Type.Enum(PagerState),
  figures: PagerFigures,
  /** Why it failed. */
  error: Type.Optional(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      mend: Type.Optional(Type.String()),
      retryable: Type.Boolean(),
    }),
  ),
});
export type PagerStatus = Static<typeof PagerStatus>;

/** One line of what a pager is told. */
export const PagerOrder = Type.Union([
  Type.Object({ serve: Type.Object({ imagesDir: Type.String(), cgroupDir: Type.String() }) }),
  Type.Object({ stop: Type.Literal(true) }),
]);
export type PagerOrder = Static<typeof PagerOrder>;

/** What a pager reads from its standard input, as JSON: it holds a key, which has no place in a process list. */
export const PagerSettings = Type.Object({
  workDir: Type.String(),
  migrationId: Type.String(),
  sourceUrl: Type.String(),
  tls: Type.Object({ ca: Type.String(), cert: Type.String(), key: Type.String() }),
  stallMs: Type.Integer({ minimum: 1 }),
});
export type PagerSettings = Static<typeof PagerSettings>;

const isStatus = TypeCompiler.Compile(PagerStatus);
const isOrder = TypeCompiler.Compile(PagerOrder);
const isSettings = TypeCompiler.Compile(PagerSettings);

export const ENDS: ReadonlySet<PagerState> = new Set([
  PagerState.complete,
  PagerState.failed,
  PagerState.stopped,
]);

/** Files in the work directory. */
export const PagerFile = {
  /** The socket it is spoken to over. */
  socket: 'pager.sock',
  /** Which process it is. */
  record: 'pager.json',
  /** How it ended: a `PagerStatus`, for when nobody listened. */
  end: 'pager-end.json',
  log: 'pager.log',
  /** CRIU's own. */
  daemonLog: 'lazy-pages.log',
} as const;

/** @throws HoldfastError `PAGER_ANSWER_INVALID` */
export function parseStatus(text: string): PagerStatus {
  return parse(text, (value) => (isStatus.Check(value) ? value : undefined));
}

/** @throws HoldfastError `PAGER_ANSWER_INVALID` */
export function parseOrder(text: string): PagerOrder {
  return parse(text, (value) => (isOrder.Check(value) ? value : undefined));
}

/** @throws HoldfastError `PAGER_ANSWER_INVALID` */
export function parseSettings(text: string): PagerSettings {
  return parse(text, (value) => (isSettings.Check(value) ? value : undefined));
}

function parse<T>(text: string, check: (value: unknown) => T | undefined): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const checked = check(value);
  if (checked !== undefined) return checked;
  throw new HoldfastError('PAGER_ANSWER_INVALID', 'the pager and the agent do not understand each other', {
    mend: 'update Holdfast only while no migration is under way',
  });
}
