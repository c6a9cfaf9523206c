import type {
  AdmitReply,
  AgentInfo,
  BringReply,
  ExamineReply,
  MeasureReply,
  PageInReply,
  PreCopyReply,
  RangeSumsReply,
  SendReply,
  SumsReply,
} from './agent/protocol.ts';
import type { DumpMemory, Footprint } from './engine/engine.ts';

/**
 * What a migration asks of the agent on a host; `migrator/agent/protocol.ts` says what each call does.
 * Times are `performance.now()` readings of the caller, taken so that a span between two of them is never too short.
 */
export interface Agent {
  readonly host: string;
  /** Where other agents reach it. */
  readonly url: string;
  info(signal: AbortSignal): Promise<AgentInfo>;
  /** What a move to the agent at `to` would meet, sending no faster than that. Touches nothing. */
  measure(
    container: string,
    request: { to: string; limitRateBps?: number | undefined },
    signal: AbortSignal,
  ): Promise<MeasureReply>;
  examine(id: string, container: string, signal: AbortSignal): Promise<ExamineReply>;
  admit(id: string, container: string, footprint: Footprint, signal: AbortSignal): Promise<AdmitReply>;
  /** @param options.pagesFrom the source's agent, when memory is to be fetched from it on demand */
  prepare(
    id: string,
    options: { container: string; leaseMs: number; pagesFrom?: string },
    signal: AbortSignal,
  ): Promise<void>;
  /** @param options.limitRateBps no more is sent there for this move, in bits a second */
  connect(
    id: string,
    options: { container: string; to: string; limitRateBps?: number | undefined },
    signal: AbortSignal,
  ): Promise<void>;
  bring(id: string, signal: AbortSignal): Promise<BringReply>;
  preCopy(id: string, signal: AbortSignal): Promise<PreCopyReply>;
  standBy(id: string, signal: AbortSignal): Promise<void>;
  getReady(id: string, signal: AbortSignal): Promise<BringReply>;
  freeze(id: string, signal: AbortSignal): Promise<{ frozenAt: number }>;
  dump(id: string, memory: DumpMemory, signal: AbortSignal): Promise<void>;
  send(id: string, signal: AbortSignal): Promise<SendReply>;
  restore(id: string, signal: AbortSignal): Promise<{ runningAt: number }>;
  /** No process runs before `resume`. */
  restoreFrozen(id: string, signal: AbortSignal): Promise<void>;
  resume(id: string, signal: AbortSignal): Promise<{ runningAt: number }>;
  sums(id: string, signal: AbortSignal): Promise<SumsReply>;
  rangeSums(id: string, pid: number, signal: AbortSignal): Promise<RangeSumsReply>;
  health(id: string, signal: AbortSignal): Promise<void>;
  commit(id: string, signal: AbortSignal): Promise<void>;
  /** Settles when every page is over. @throws `PAGES_LOST` when the instance there is gone for want of pages */
  pageIn(id: string, signal: AbortSignal): Promise<PageInReply>;
  discard(id: string, signal: AbortSignal): Promise<void>;
  thaw(id: string, signal: AbortSignal): Promise<void>;
  finish(id: string, signal: AbortSignal): Promise<void>;
}
