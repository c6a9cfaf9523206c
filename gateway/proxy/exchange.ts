import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Upstream } from '../gate/upstream.ts';
import { AnsweredBy, Refusal, Stage, Visit } from '../gate/visit.ts';
import {
  answer,
  isBrokenConnection,
  type OwnAnswer,
  refusalAnswer,
  upstreamFailureAnswer,
} from './answer.ts';
import type { Guest } from './connections.ts';
import type { ExchangeContext, ExchangeOptions } from './context.ts';
import { CLIENT_GONE_STATUS, HoldEnd } from './observer.ts';
import { pinnedBytes, RequestBody } from './request-body.ts';
import { hasBody, type RequestHead, requestHead } from './request-head.ts';
import { headText, type RawHeaders, responseHead, trailerFields, without } from './response-head.ts';
import { Tunnel } from './tunnel.ts';

const RETRYABLE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const TRAILER: ReadonlySet<string> = new Set(['trailer']);

/**
 * One request's way: arrive at the gate, wait or not, go to the app, and carry its answer back.
 *
 * It is undici's handler itself, by the callback names that get headers as bytes and hear when the request is on the
 * wire (deprecated in undici 7 in favour of ones that parse every header into an object and tell neither).
 */
export class Exchange extends Visit implements Guest, Dispatcher.DispatchHandler {
  readonly replicaMayAnswer: boolean;
  readonly #context: ExchangeContext;
  readonly #options: ExchangeOptions;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #method: string;
  readonly #socket: Socket;
  readonly #startedAtMs = performance.now();
  #answeredBy: AnsweredBy = AnsweredBy.gateway;
  #upstream: Upstream | undefined = undefined;
  #head: RequestHead | undefined = undefined;
  #body: RequestBody | null = null;
  #abort: ((error: Error) => void) | undefined = undefined;
  #resume: (() => void) | undefined = undefined;
  #status = 0;
  #hasData = false;
  #isContinued = false;
  #wasHeld = false;
  #isClientGone = false;
  #isRetried = false;
  #tunnel: Tunnel | undefined = undefined;
  #isFinished = false;

  constructor(context: ExchangeContext, req: IncomingMessage, res: ServerResponse, options: ExchangeOptions) {
    super();
    this.#context = context;
    this.#options = options;
    this.#req = req;
    this.#res = res;
    this.#method = req.method ?? 'GET';
    this.#socket = req.socket;
    const isRead = this.#method === 'GET' || this.#method === 'HEAD';
    this.replicaMayAnswer = isRead && !options.isUpgrade && !hasBody(req);
  }

  begin(): void {
    this.#context.connections.add(this.#socket, this);
    if (!this.#isClientGone) this.#options.gate.arrive(this);
  }

  // What the gate says.

  override pinnedBytes(): number {
    return pinnedBytes(this.#req);
  }

  override onHeld(): void {
    this.#wasHeld = true;
    this.#context.observer.requestHeld(this.#options.app);
  }

  override onSend(upstream: Upstream, to: AnsweredBy): void {
    if (to === AnsweredBy.target) this.#endHold(HoldEnd.released);
    this.#upstream = upstream;
    this.#answeredBy = to;
    try {
      const { callers, forwarded } = this.#context;
      const caller = callers.of(this.#socket);
      this.#head ??= requestHead(this.#req, this.#options.destination, { caller, forwarded });
    } catch (error) {
      this.#answerSelf(upstreamFailureAnswer(error as Error));
      return;
    }
    this.#dispatch(upstream, this.#head);
  }

  override onGoodbye(): void {
    this.#tunnel?.sayGoodbye();
  }

  override onRefused(refusal: Refusal): void {
    this.#endHold(refusal === Refusal.heldTooLong ? HoldEnd.timedOut : HoldEnd.failed);
    this.#context.observer.requestRejected(this.#options.app, refusal);
    this.#answerSelf(refusalAnswer(refusal));
  }

  // What the client's connection says.

  onClientGone(): void {
    if (this.#isFinished || this.#tunnel) return;
    this.#isClientGone = true;
    if (this.stage === Stage.held || this.stage === Stage.arriving) {
      this.#endHold(HoldEnd.clientGone);
      this.#finish(CLIENT_GONE_STATUS);
    } else {
      // Before the request is on a connection there is nothing to abort yet: onConnect will.
      this.#abort?.(new Error('the client is gone'));
    }
  }

  // What undici says.

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort;
    if (this.#isClientGone) {
      abort(new Error('the client is gone'));
      return;
    }
    if (this.#options.expectsContinue) {
      this.#isContinued = true;
      this.#res.writeContinue();
    }
    // A body that is yet to come must not hold up the requests behind it: count it as sent.
    if (this.#body && this.#req.readableLength === 0) this.#options.gate.started(this);
  }

  onRequestSent(): void {
    this.#options.gate.started(this);
  }

  onBodySent(): void {
    this.#options.gate.started(this);
  }

  onHeaders(status: number, raw: RawHeaders, resume: () => void, statusText: string): boolean {
    const head = responseHead(raw);
    if (status < 200) {
      this.#passInformational(status, head.headers);
      return true;
    }
    const isEventStream = /^text\/event-stream/i.test(head.contentType);
    if (isEventStream) this.#options.gate.openEnded(this, false);
    const res = this.#res;
    // Node refuses a Trailer header where it cannot send any.
    const hasTrailers = head.isChunked && this.#method !== 'HEAD' && this.#req.httpVersionMinor > 0;
    const headers = hasTrailers ? head.headers : without(head.headers, TRAILER);
    if (this.#answeredBy === AnsweredBy.replica) headers.push('Holdfast-Answered-By', 'replica');
    if (this.#context.isClosing) res.shouldKeepAlive = false;
    res.writeHead(status, statusText.replace(/[^\t\x20-\x7e]/g, '?'), headers);
    if (head.isChunked || isEventStream) process.nextTick(() => this.#flushHead());
    this.#status = status;
    this.#resume = resume;
    res.on('drain', resume);
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.#hasData = true;
    return this.#res.write(chunk);
  }

  onComplete(trailers: RawHeaders | null): void {
    if (trailers && trailers.length > 0) this.#res.addTrailers(trailerFields(trailers));
    this.#res.end();
    this.#finish(this.#status);
  }

  onUpgrade(status: number, raw: RawHeaders | null, upstream: Duplex): void {
    const head = responseHead(raw ?? []);
    this.#res.detachSocket(this.#socket);
    this.#socket.write(
      headText(status, [...head.headers, 'Connection', 'Upgrade', 'Upgrade', head.upgrade]),
      'latin1',
    );
    this.#tunnel = new Tunnel(this.#socket, upstream as Socket, () => this.#finish(status));
    this.#options.gate.openEnded(this, true);
  }

  onError(error: Error): void {
    if (this.#isClientGone) this.#finish(CLIENT_GONE_STATUS);
    else if (this.#status !== 0) this.#breakOff(error);
    else if (this.#answeredBy === AnsweredBy.replica) this.#fallBack(error);
    else if (this.#mayRetry(error)) queueMicrotask(() => this.#retry());
    else {
      this.#context.log.warn({ app: this.#options.app, err: error }, 'the app did not answer');
      this.#answerSelf(upstreamFailureAnswer(error));
    }
  }

  // Its own steps.

  /** A stream's head must not wait for its first piece; but one that has come with the head goes in the same write. */
  #flushHead(): void {
    if (!this.#hasData && !this.#res.writableEnded) this.#res.flushHeaders();
  }

  #dispatch(upstream: Upstream, { path, headers }: RequestHead): void {
    const { isUpgrade } = this.#options;
    this.#abort = undefined;
    this.#body = !isUpgrade && hasBody(this.#req) ? new RequestBody(this.#req) : null;
    upstream.dispatch(
      {
        path,
        method: this.#method,
        headers,
        body: this.#body,
        upgrade: isUpgrade ? (this.#req.headers.upgrade ?? null) : null,
        // Otherwise undici gives up the connection after every HEAD.
        ...(this.#method === 'HEAD' ? { reset: false } : {}),
      },
      this,
    );
  }

  /** Safe to repeat, nothing of an answer seen, and on a connection that broke: another one may do. */
  #mayRetry(error: Error): boolean {
    if (this.#isRetried || this.#body || this.#options.isUpgrade) return false;
    this.#isRetried = RETRYABLE_METHODS.has(this.#method) && isBrokenConnection(error);
    return this.#isRetried;
  }

  #retry(): void {
    if (this.#isClientGone) this.#finish(CLIENT_GONE_STATUS);
    else if (this.#upstream && this.#head) this.#dispatch(this.#upstream, this.#head);
  }

  #fallBack(error: Error): void {
    this.#context.log.warn({ app: this.#options.app, err: error }, 'the replica failed, the request waits');
    this.#answeredBy = AnsweredBy.gateway;
    this.#options.gate.replicaFailed(this);
  }

  /** 103 and the like go out as they came; it must be this response's turn on the connection. */
  #passInformational(status: number, headers: readonly string[]): void {
    if (this.#req.httpVersionMinor === 0 || status === 101 || this.#options.isUpgrade) return;
    this.#res.socket?.write(headText(status, headers), 'latin1');
  }

  #answerSelf(own: OwnAnswer): void {
    this.#answeredBy = AnsweredBy.gateway;
    this.#body?.destroy();
    // Whether the client sends the body after a final answer instead of a 100 is anyone's guess.
    const isAmbiguous = this.#options.expectsContinue && !this.#isContinued;
    if (this.#context.isClosing || isAmbiguous) this.#res.shouldKeepAlive = false;
    answer(this.#res, own);
    this.#finish(own.status);
  }

  /** The answer cannot be completed. A reset, because to some clients a mere end looks like success. */
  #breakOff(error: Error): void {
    this.#context.log.warn({ app: this.#options.app, err: error }, 'the answer broke off');
    this.#finish(this.#status);
    if (this.#res.socket) this.#socket.resetAndDestroy();
    else this.#res.destroy();
  }

  #endHold(outcome: HoldEnd): void {
    if (!this.#wasHeld) return;
    this.#wasHeld = false;
    this.#context.observer.holdEnded(this.#options.app, performance.now() - this.heldSinceMs, outcome);
  }

  #finish(status: number): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    const { app, gate } = this.#options;
    gate.leave(this);
    this.#body?.destroy();
    if (this.#resume) this.#res.off('drain', this.#resume);
    this.#context.connections.remove(this.#socket, this);
    const durationMs = performance.now() - this.#startedAtMs;
    this.#context.observer.requestFinished(app, this.#method, status, durationMs, this.#answeredBy);
  }
}
