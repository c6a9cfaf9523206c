import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { anySignal } from '../../migrator/any-signal.ts';
import { build, PLAIN_NODE, repoDir } from '../../test/build.mjs';

const ANSWER_TIMEOUT_MS = 30_000;

/** A program of the benchmark in a process of its own, so that nothing done here delays it. It answers when it is asked. */
export class Part<Answer> {
  readonly #child: ChildProcess;

  /** `program` by its name in this directory. Whoever starts it must `stop` it. */
  constructor(program: string, args: readonly string[]) {
    const file = path.join(repoDir, build(), 'bench/flip', `${program}.js`);
    this.#child = spawn('/usr/bin/env', [...PLAIN_NODE, process.execPath, file, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  async ask(asked: AbortSignal): Promise<Answer> {
    const signal = anySignal([asked, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const answer = once(this.#child, 'message', { signal });
    this.#child.send('tell');
    return (await answer)[0] as Answer;
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}
