import { connect, type Socket } from 'node:net';
import { HoldfastError } from '../migrator/errors.ts';
import type { RuntimeAddress } from './address.ts';
import { AnswerReader, Prompt } from './answer-reader.ts';
import { knownRefusal, notUnderstood } from './errors.ts';

/** Bound of a single answer; a map of a million entries prints some 60 MiB. */
const MOST_ANSWER_BYTES = 256 << 20;
/** Commands sent and not answered. */
const MOST_WAITING = 1_000;
const GREETING = /^\n?((?:master)?> )$/;
const LONGEST_GREETING = 512;

interface Waiter {
  readonly answers: string[];
  readonly count: number;
  readonly resolve: (answers: string[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One connection to a runtime socket, in prompt mode: commands go out as they come, and are answered in that order.
 * When anything fails, whoever waits is told and the connection is given up: answers could no longer be told apart.
 */
export class Conversation {
  readonly #socket: Socket;
  readonly #waiters: Waiter[] = [];
  #reader: AnswerReader | undefined;
  #prompt: Prompt | undefined;
  #greeting = Buffer.alloc(0);
  #isConnected = false;
  #failure: HoldfastError | undefined;

  private constructor(address: RuntimeAddress) {
    this.#socket = connect(address);
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#socket.once('connect', () => {
      this.#isConnected = true;
    });
    this.#socket.on('error', (error) =>
      this.#fail(this.#isConnected ? lost(error.message) : unreachable(error)),
    );
    this.#socket.on('close', () => this.#onClose());
  }

  /**
   * Connect, and turn the prompt on.
   *
   * @throws HoldfastError `HAPROXY_UNREACHABLE`, `HAPROXY_SILENT`, `HAPROXY_CONNECTION_LOST`, `HAPROXY_ANSWER_INVALID`
   * when something else answers, `DEADLINE` when `signal` fires
   */
  static async open(
    address: RuntimeAddress,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<Conversation> {
    const conversation = new Conversation(address);
    await conversation.#within(timeoutMs, signal, 'it did not show its prompt', () =>
      conversation.#say('prompt\n', 0),
    );
    return conversation;
  }

  /** Whether a master process is at the other end. */
  get isMaster(): boolean {
    return this.#prompt === Prompt.master;
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /**
   * Send `text`, which holds `count` commands, and wait for as many answers.
   *
   * @throws HoldfastError `HAPROXY_SILENT`, `HAPROXY_CONNECTION_LOST`, `HAPROXY_BUSY`, `HAPROXY_WORKER_GONE`,
   * `HAPROXY_ANSWER_TOO_LARGE`, `DEADLINE` when `signal` fires
   */
  async ask(
    text: string,
    { count, timeoutMs, signal }: { count: number; timeoutMs: number; signal: AbortSignal },
  ): Promise<string[]> {
    return this.#within(timeoutMs, signal, 'it did not answer', () => this.#say(text, count));
  }

  close(): void {
    this.#fail(lost('it was closed at this end'));
  }

  async #within<T>(timeoutMs: number, signal: AbortSignal, what: string, act: () => Promise<T>): Promise<T> {
    const onAbort = () => this.#fail(calledOff(signal));
    if (signal.aborted) onAbort();
    const timer = setTimeout(() => this.#fail(silent(what, timeoutMs)), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await act();
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** With a count of 0 it is the greeting that is waited for. */
  #say(text: string, count: number): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiters.reduce((sum, one) => sum + one.count - one.answers.length, count);
      if (this.#failure !== undefined) reject(this.#failure);
      else if (waiting > MOST_WAITING) reject(busy());
      else {
        this.#waiters.push({ answers: [], count, resolve, reject });
        this.#socket.write(text);
      }
    });
  }

  #onData(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    if (this.#reader === undefined) {
      this.#greet(chunk);
      return;
    }
    try {
      for (const answer of this.#reader.push(chunk)) this.#onAnswer(answer);
    } catch (error) {
      this.#fail(error as HoldfastError);
    }
  }

  #greet(chunk: Buffer): void {
    this.#greeting = Buffer.concat([this.#greeting, chunk]);
    const text = this.#greeting.toString('latin1');
    const [, prompt] = GREETING.exec(text) ?? [];
    if (prompt !== undefined) {
      this.#prompt = prompt as Prompt;
      this.#reader = new AnswerReader(this.#prompt, MOST_ANSWER_BYTES);
      this.#waiters.shift()?.resolve([]);
    } else if (text.length > LONGEST_GREETING || !/^\n?m?a?s?t?e?r?>? ?$/.test(text)) {
      this.#fail(notUnderstood('the greeting', text.trimStart()));
    }
  }

  #onAnswer(answer: string): void {
    const [waiter] = this.#waiters;
    if (waiter === undefined) throw notUnderstood('an answer to nothing', answer);
    waiter.answers.push(answer);
    if (waiter.answers.length < waiter.count) return;
    this.#waiters.shift();
    waiter.resolve(waiter.answers);
  }

  /** A master of 2.6 that is asked for a worker it has no more says so and closes, without a prompt. */
  #onClose(): void {
    this.#fail(knownRefusal(this.#reader?.rest ?? '') ?? lost('HAProxy closed the connection'));
  }

  #fail(error: HoldfastError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#socket.destroy();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}

function unreachable(error: Error): HoldfastError {
  const { code } = error as NodeJS.ErrnoException;
  const mend =
    code === 'EACCES'
      ? 'let the gateway’s user read and write the socket: `mode`, `user` and `group` of `stats socket`'
      : 'see that HAProxy runs, and that `stats socket` in its configuration names this address';
  return new HoldfastError('HAPROXY_UNREACHABLE', error.message, { mend, retryable: true, cause: error });
}

function lost(how: string): HoldfastError {
  return new HoldfastError('HAPROXY_CONNECTION_LOST', `${how} before the answer was whole`, {
    mend: 'ask how things are before repeating what may have been carried out',
    retryable: true,
  });
}

function silent(what: string, timeoutMs: number): HoldfastError {
  return new HoldfastError('HAPROXY_SILENT', `${what} within ${timeoutMs} ms`, {
    mend: 'see whether HAProxy stands still or is overloaded',
    retryable: true,
  });
}

function busy(): HoldfastError {
  return new HoldfastError('HAPROXY_BUSY', `${MOST_WAITING} commands wait for an answer already`, {
    mend: 'wait for answers before asking more',
    retryable: true,
  });
}

function calledOff(signal: AbortSignal): HoldfastError {
  return new HoldfastError('DEADLINE', 'it was called off before HAProxy had answered', {
    retryable: true,
    cause: signal.reason,
  });
}
