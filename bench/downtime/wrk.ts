import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface WrkCounts {
  readonly requests: number;
  /** Connections refused or broken, time-outs, and answers other than 2xx and 3xx. */
  readonly errors: number;
}

const CONNECTIONS = 8;
const DELAY_MS = 40;
const LONGEST_RUN_S = 300;
const END_TIMEOUT_MS = 10_000;
/** As the prober's. wrk takes what waits longer than two seconds for an error unless it is told. */
const TIMEOUT_S = 10;

/** Load by wrk, some 200 requests/s: see wrk/page.lua. */
export class Wrk {
  readonly #child: ChildProcess;
  #output = '';

  constructor(url: string) {
    const script = fileURLToPath(new URL('../wrk/page.lua', import.meta.url));
    const args = [
      '-t1',
      `-c${CONNECTIONS}`,
      `-d${LONGEST_RUN_S}s`,
      `--timeout=${TIMEOUT_S}s`,
      '-s',
      script,
      `${url}/page`,
    ];
    // It must not outlive whoever started it, even one that was killed.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', 'wrk', ...args, '--', String(DELAY_MS)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString();
    });
  }

  /** End the load and get its counts. */
  async finish(): Promise<WrkCounts> {
    await this.#end('SIGINT');
    const counts = /^holdfast-wrk (.*)$/m.exec(this.#output)?.[1];
    if (counts === undefined) throw new Error(`wrk gave no counts:\n${this.#output}`);
    const { requests, ...errors } = JSON.parse(counts) as Record<string, number>;
    return { requests: requests ?? 0, errors: Object.values(errors).reduce((sum, one) => sum + one, 0) };
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const closed = once(child, 'close');
    child.kill(signal);
    const insist = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    await closed;
    clearTimeout(insist);
  }
}
