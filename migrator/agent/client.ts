import type { Static, TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { Pool } from 'undici';
import type { Agent } from '../agents.ts';
import type { DumpMemory, Footprint } from '../engine/engine.ts';
import { type ErrorBody, fromErrorBody, HoldfastError } from '../errors.ts';
import type { TlsMaterial } from '../pki/tls-files.ts';
import {
  AdmitReply,
  AgentInfo,
  BringReply,
  ContainersReply,
  ErrorReply,
  ExamineReply,
  FreezeReply,
  MeasureReply,
  Nothing,
  PageInReply,
  PreCopyReply,
  RangeSumsReply,
  RestoreReply,
  SendReply,
  SumsReply,
} from './protocol.ts';

const CONNECT_TIMEOUT_MS = 2_000;
/** An undo must not wait behind the call it undoes. */
const CONNECTIONS = 8;
const KEEP_ALIVE_MS = 30_000;

/**
 * One agent, as the gateway talks to it. Every call ends with its signal at the latest.
 *
 * @throws HoldfastError what the agent answered, or `AGENT_UNREACHABLE` and `DEADLINE` (both retryable),
 * `AGENT_UNTRUSTED`, `AGENT_ANSWER_INVALID`
 */
export class AgentClient implements Agent {
  readonly host: string;
  readonly url: string;
  readonly #pool: Pool;

  constructor(options: { host: string; url: string; tls: TlsMaterial }) {
    this.host = options.host;
    this.url = options.url;
    this.#pool = new Pool(new URL(options.url).origin, {
      connections: CONNECTIONS,
      pipelining: 1,
      connect: { ...options.tls, minVersion: 'TLSv1.3', timeout: CONNECT_TIMEOUT_MS },
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The signal is the one deadline of a call.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  info(signal: AbortSignal): Promise<AgentInfo> {
    return this.#call('GET', '/v1/info', undefined, AgentInfo, signal);
  }

  async containers(signal: AbortSignal): Promise<ContainersReply['containers']> {
    return (await this.#call('GET', '/v1/containers', undefined, ContainersReply, signal)).containers;
  }

  async start(container: string, signal: AbortSignal): Promise<void> {
    await this.#call('POST', `/v1/containers/${encodeURIComponent(container)}/start`, {}, Nothing, signal);
  }

  async remove(container: string, signal: AbortSignal): Promise<void> {
    await this.#call('POST', `/v1/containers/${encodeURIComponent(container)}/remove`, {}, Nothing, signal);
  }

  measure(
    container: string,
    request: { to: string; limitRateBps?: number | undefined },
    signal: AbortSignal,
  ): Promise<MeasureReply> {
    const path = `/v1/containers/${encodeURIComponent(container)}/measure`;
    return this.#call('POST', path, request, MeasureReply, signal);
  }

  examine(id: string, container: string, signal: AbortSignal): Promise<ExamineReply> {
    return this.#step(id, 'examine', { container }, ExamineReply, signal);
  }

  admit(id: string, container: string, footprint: Footprint, signal: AbortSignal): Promise<AdmitReply> {
    return this.#step(id, 'admit', { container, footprint }, AdmitReply, signal);
  }

  async prepare(
    id: string,
    options: { container: string; leaseMs: number; pagesFrom?: string },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#step(id, 'prepare', options, Nothing, signal);
  }

  async connect(
    id: string,
    options: { container: string; to: string; limitRateBps?: number | undefined },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#step(id, 'connect', options, Nothing, signal);
  }

  bring(id: string, signal: AbortSignal): Promise<BringReply> {
    return this.#step(id, 'bring', {}, BringReply, signal);
  }

  async standBy(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'stand-by', {}, Nothing, signal);
  }

  getReady(id: string, signal: AbortSignal): Promise<BringReply> {
    return this.#step(id, 'get-ready', {}, BringReply, signal);
  }

  preCopy(id: string, signal: AbortSignal): Promise<PreCopyReply> {
    return this.#step(id, 'pre-copy', {}, PreCopyReply, signal);
  }

  /** `frozenAt` is never later than the freeze, by this process's `performance.now()`. */
  async freeze(id: string, signal: AbortSignal): Promise<{ frozenAt: number }> {
    const sentAt = performance.now();
    const { frozenAtMs } = await this.#step(id, 'freeze', {}, FreezeReply, signal);
    return { frozenAt: sentAt + frozenAtMs };
  }

  async dump(id: string, memory: DumpMemory, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'dump', { memory }, Nothing, signal);
  }

  send(id: string, signal: AbortSignal): Promise<SendReply> {
    return this.#step(id, 'send', {}, SendReply, signal);
  }

  /** `runningAt` is never earlier than the restore, by this process's `performance.now()`. */
  async restore(id: string, signal: AbortSignal): Promise<{ runningAt: number }> {
    const { sinceRunningMs } = await this.#step(id, 'restore', {}, RestoreReply, signal);
    return { runningAt: performance.now() - sinceRunningMs };
  }

  async restoreFrozen(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'restore', { frozen: true }, RestoreReply, signal);
  }

  /** `runningAt` is never earlier than that the first process went on. */
  async resume(id: string, signal: AbortSignal): Promise<{ runningAt: number }> {
    const { sinceRunningMs } = await this.#step(id, 'resume', {}, RestoreReply, signal);
    return { runningAt: performance.now() - sinceRunningMs };
  }

  sums(id: string, signal: AbortSignal): Promise<SumsReply> {
    return this.#step(id, 'sums', {}, SumsReply, signal);
  }

  rangeSums(id: string, pid: number, signal: AbortSignal): Promise<RangeSumsReply> {
    return this.#step(id, `sums/${pid}`, {}, RangeSumsReply, signal);
  }

  async health(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'health', {}, Nothing, signal);
  }

  async commit(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'commit', {}, Nothing, signal);
  }

  pageIn(id: string, signal: AbortSignal): Promise<PageInReply> {
    return this.#step(id, 'page-in', {}, PageInReply, signal);
  }

  async discard(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'discard', {}, Nothing, signal);
  }

  async thaw(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'thaw', {}, Nothing, signal);
  }

  async finish(id: string, signal: AbortSignal): Promise<void> {
    await this.#step(id, 'finish', {}, Nothing, signal);
  }

  #step<T extends TSchema>(
    id: string,
    step: string,
    body: object,
    reply: T,
    signal: AbortSignal,
  ): Promise<Static<T>> {
    return this.#call('POST', `/v1/migrations/${encodeURIComponent(id)}/${step}`, body, reply, signal);
  }

  async #call<T extends TSchema>(
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    reply: T,
    signal: AbortSignal,
  ): Promise<Static<T>> {
    const { statusCode, text } = await this.#exchange(method, path, body, signal);
    const answer = parseJson(text);
    if (statusCode < 300 && Value.Check(reply, answer)) return answer;
    if (statusCode >= 400 && Value.Check(ErrorReply, answer)) throw fromErrorBody(answer as ErrorBody);
    throw new HoldfastError(
      'AGENT_ANSWER_INVALID',
      `the agent of ${this.host} answered ${path} with ${statusCode} and what was not understood`,
      { mend: `run the same version of Holdfast everywhere, and check that ${this.url} is an agent` },
    );
  }

  async #exchange(
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<{ statusCode: number; text: string }> {
    try {
      const response = await this.#pool.request({
        method,
        path,
        signal,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      return { statusCode: response.statusCode, text: await response.body.text() };
    } catch (cause) {
      throw this.#translate(cause, path, signal);
    }
  }

  #translate(cause: unknown, path: string, signal: AbortSignal): HoldfastError {
    if (signal.aborted) {
      return new HoldfastError('DEADLINE', `the agent of ${this.host} did not answer ${path} in time`, {
        retryable: true,
        cause,
      });
    }
    const code = String((cause as { code?: unknown }).code);
    if (/^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code)) {
      return new HoldfastError(
        'AGENT_UNTRUSTED',
        `${this.url} and the gateway do not trust one another: ${code}`,
        {
          mend: 'issue both certificates with the same authority, and the agent’s with --san of its address',
          cause,
        },
      );
    }
    return new HoldfastError(
      'AGENT_UNREACHABLE',
      `the agent of ${this.host} at ${this.url} cannot be reached: ${code}`,
      {
        mend: `check that gateway agent runs on ${this.host} and that its port is open to the gateway`,
        retryable: true,
        cause,
      },
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Whoever holds it against a schema finds it wanting.
  }
}
