import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { build, PLAIN_NODE, repoDir } from '../build.mjs';
import type { LoadOptions } from './load.ts';
import type { LoadOrder, LoadReply } from './load-process.ts';
import type { LoadReport, Window } from './report.ts';

type OrderBody = LoadOrder extends infer Order ? (Order extends LoadOrder ? Omit<Order, 'n'> : never) : never;

/** A load in a process of its own, so that nothing the starter does delays a request. */
export class RemoteLoad {
  readonly #child: ChildProcess;
  #orders = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Settles when the first good answer has come. */
  static async start(options: LoadOptions, timeoutMs = 20_000): Promise<RemoteLoad> {
    const program = path.join(repoDir, build(), 'test/workload/load-process.js');
    const child = spawn('/usr/bin/env', [...PLAIN_NODE, process.execPath, program], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const load = new RemoteLoad(child);
    try {
      await load.#tell({ order: 'start', options }, timeoutMs);
      await load.flowing(timeoutMs);
      return load;
    } catch (error) {
      await load.stop();
      throw error;
    }
  }

  /** Settles with the first good answer to a request due from now on. */
  async flowing(timeoutMs: number): Promise<void> {
    await this.#tell({ order: 'flowing', timeoutMs }, timeoutMs + 5_000);
  }

  /** End the load, wait for what is still to be answered, and check it all. */
  async finish(windows: readonly Window[], timeoutMs = 120_000): Promise<LoadReport> {
    const report = await this.#tell({ order: 'finish', windows }, timeoutMs);
    if (report === undefined) throw new Error('the load gave no report');
    return report;
  }

  /** End the process. May be called twice. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  #tell(body: OrderBody, timeoutMs: number): Promise<LoadReport | undefined> {
    const child = this.#child;
    this.#orders += 1;
    const n = this.#orders;
    return new Promise((resolve, reject) => {
      const settle = (error: Error | undefined, report?: LoadReport) => {
        clearTimeout(timer);
        child.off('message', hear);
        child.off('exit', gone);
        if (error === undefined) resolve(report);
        else reject(error);
      };
      const hear = (reply: LoadReply) => {
        if (reply.n !== n) return;
        if ('error' in reply) settle(new Error(`${body.order}: ${reply.error}`));
        else settle(undefined, reply.report);
      };
      const gone = () => settle(new Error('the load process has ended'));
      const timer = setTimeout(
        () => settle(new Error(`the load process did not ${body.order} within ${timeoutMs} ms`)),
        timeoutMs,
      );
      child.on('message', hear);
      child.once('exit', gone);
      child.send({ n, ...body }, (error) => {
        if (error) settle(error);
      });
    });
  }
}
