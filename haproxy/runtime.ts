import { HoldfastError } from '../migrator/errors.ts';
import { formatRuntimeAddress, type RuntimeAddress } from './address.ts';
import type { Answers, Command } from './command.ts';
import { Conversation } from './conversation.ts';
import { about } from './errors.ts';

export interface RuntimeOptions {
  readonly address: RuntimeAddress;
  /** The worker behind a master socket by its pid, for one that is leaving; the current one when not given. */
  readonly workerPid?: number | undefined;
  /** To connect, and again until the answers to what is asked at once are there. */
  readonly timeoutMs?: number | undefined;
}

/** HAProxy answers within a millisecond unless it is overloaded. */
const TIMEOUT_MS = 2_000;

/** Something that commands can be given to. */
export interface Runtime {
  /**
   * Give HAProxy commands, all at once, and have their answers in the same order. It carries out all of them, also those
   * behind one it refuses.
   *
   * @throws HoldfastError the first refusal (see errors.ts), what `Conversation` throws, `HAPROXY_NO_MASTER`
   */
  readonly ask: Ask;
}

type Ask = <const C extends readonly Command<unknown>[]>(
  commands: C,
  signal: AbortSignal,
) => Promise<Answers<C>>;

/** Asks on a connection of its own each time: it reaches whichever process listens now, also after a reload. */
export class OneShotRuntime implements Runtime {
  readonly #options: RuntimeOptions;

  constructor(options: RuntimeOptions) {
    this.#options = options;
  }

  readonly ask: Ask = async (commands, signal) => {
    const conversation = await open(this.#options, signal);
    try {
      return await exchange(conversation, commands, this.#options, signal);
    } finally {
      conversation.close();
    }
  };
}

/**
 * Asks on one connection for as long as it holds, and connects anew when it does not. HAProxy closes one that is idle
 * for longer than its `stats timeout`; and one that was opened before a reload leads to the process that is leaving.
 *
 * What was asked on a connection that turns out to be broken is asked once more. So what may do harm twice has a
 * connection of its own: when that breaks, the caller is told.
 */
export class RuntimeSession implements Runtime {
  readonly #options: RuntimeOptions;
  #conversation: Conversation | undefined;
  #opening: Promise<Conversation> | undefined;

  constructor(options: RuntimeOptions) {
    this.#options = options;
  }

  readonly ask: Ask = async (commands, signal) => {
    if (!commands.every(({ repeatable }) => repeatable)) {
      return new OneShotRuntime(this.#options).ask(commands, signal);
    }
    const isUsed = this.isOpen;
    try {
      return await exchange(await this.#connected(), commands, this.#options, signal);
    } catch (error) {
      if (!isUsed || !isLost(error)) throw error;
    }
    return exchange(await this.#connected(), commands, this.#options, signal);
  };

  /** Whether there is a connection. It ends with the process at its other end, also when nothing is asked. */
  get isOpen(): boolean {
    return this.#conversation?.isOpen === true;
  }

  close(): void {
    this.#conversation?.close();
  }

  async #connected(): Promise<Conversation> {
    if (this.#conversation?.isOpen) return this.#conversation;
    // Shared by all who ask meanwhile, so none of their signals may end it; its own timeout does.
    this.#opening ??= open(this.#options, new AbortController().signal).finally(() => {
      this.#opening = undefined;
    });
    this.#conversation = await this.#opening;
    return this.#conversation;
  }
}

async function open(options: RuntimeOptions, signal: AbortSignal): Promise<Conversation> {
  const { address, timeoutMs = TIMEOUT_MS } = options;
  try {
    return await Conversation.open(address, { timeoutMs, signal });
  } catch (error) {
    throw named(options, error);
  }
}

async function exchange<const C extends readonly Command<unknown>[]>(
  conversation: Conversation,
  commands: C,
  options: RuntimeOptions,
  signal: AbortSignal,
): Promise<Answers<C>> {
  try {
    const text = commands.map((command) => sent(command, conversation.isMaster, options.workerPid)).join('');
    const lastsMs = commands.reduce((sum, command) => sum + (command.lastsMs ?? 0), 0);
    const timeoutMs = (options.timeoutMs ?? TIMEOUT_MS) + lastsMs;
    const answers = await conversation.ask(text, { count: commands.length, timeoutMs, signal });
    return commands.map((command, i) => read(command, answers[i] ?? '')) as Answers<C>;
  } catch (error) {
    throw named(options, error);
  }
}

function sent(command: Command<unknown>, isMaster: boolean, workerPid: number | undefined): string {
  if (!isMaster && (command.ofMaster === true || workerPid !== undefined)) {
    throw new HoldfastError('HAPROXY_NO_MASTER', `\`${command.line}\` is for a master process`, {
      mend: 'start HAProxy with -W -S SOCKET, and give that socket',
    });
  }
  const worker = workerPid === undefined ? '@1 ' : `@!${workerPid} `;
  const prefix = isMaster && command.ofMaster !== true ? worker : '';
  const lines = command.payload === undefined ? '' : `${command.payload}\n`;
  return `${prefix}${command.line}\n${lines}`;
}

function read<T>(command: Command<T>, raw: string): T {
  // While it takes a payload, HAProxy prompts for each of its lines.
  const answer = command.payload === undefined ? raw : raw.replace(/^(?:\+ )+\n?/, '');
  try {
    return command.read(answer);
  } catch (error) {
    throw error instanceof HoldfastError ? about(`\`${command.line}\``, error) : error;
  }
}

function named({ address }: RuntimeOptions, error: unknown): unknown {
  if (!(error instanceof HoldfastError)) return error;
  return about(`HAProxy at ${formatRuntimeAddress(address)}`, error);
}

function isLost(error: unknown): boolean {
  return error instanceof HoldfastError && error.code === 'HAPROXY_CONNECTION_LOST';
}
