import { HoldfastError } from '../migrator/errors.ts';

/**
 * What HAProxy prints when it has answered and waits for a command, behind a line end. It is the only sign that is
 * always there: the empty line that the manual promises after each answer is missing in 2.6 after `del server` and some
 * errors, and errors may come as several lines. No line of an answer begins like it.
 */
export const Prompt = { worker: '> ', master: 'master> ' } as const;
export type Prompt = (typeof Prompt)[keyof typeof Prompt];

/**
 * Takes the bytes of a conversation as they come, cut anywhere, and gives them back as answers. What has come is looked
 * at once: a long answer takes no longer per byte than a short one.
 */
export class AnswerReader {
  readonly #end: Buffer;
  readonly #mostBytes: number;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;

  /** @param mostBytes of one answer */
  constructor(prompt: Prompt, mostBytes: number) {
    this.#end = Buffer.from(`\n${prompt}`);
    this.#mostBytes = mostBytes;
  }

  /**
   * @returns the answers that are whole by now, each without its last line ends
   * @throws HoldfastError `HAPROXY_ANSWER_TOO_LARGE`
   */
  push(chunk: Buffer): string[] {
    const answers: string[] = [];
    let rest = chunk;
    for (;;) {
      const before = this.#tail(this.#end.length - 1);
      const seam = before.length === 0 ? rest : Buffer.concat([before, rest]);
      const at = seam.indexOf(this.#end);
      if (at < 0) break;
      const used = at + this.#end.length - before.length;
      this.#keep(rest.subarray(0, used));
      answers.push(this.#take());
      rest = rest.subarray(used);
    }
    if (rest.length > 0) this.#keep(rest);
    return answers;
  }

  /** What has come of an answer that is not whole. */
  get rest(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  /** The last bytes kept, `count` or fewer. */
  #tail(count: number): Buffer {
    let tail: Buffer = Buffer.alloc(0);
    for (let i = this.#chunks.length - 1; i >= 0 && tail.length < count; i -= 1) {
      tail = Buffer.concat([this.#chunks[i] ?? tail, tail]);
    }
    return tail.subarray(Math.max(0, tail.length - count));
  }

  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes <= this.#mostBytes) return;
    throw new HoldfastError(
      'HAPROXY_ANSWER_TOO_LARGE',
      `the answer has more than ${this.#mostBytes} bytes and is not at its end`,
      { mend: 'ask for less at once' },
    );
  }

  #take(): string {
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#sizeBytes = 0;
    return whole.toString('utf8', 0, whole.length - this.#end.length).replace(/\n+$/, '');
  }
}
