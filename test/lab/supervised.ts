import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

export interface SupervisedOptions {
  readonly name: string;
  readonly logFile: string;
  /** Start the program with its output going to the file given. */
  readonly spawn: (output: number) => ChildProcess;
  /** Settles when the program can be talked to. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
}

/** As systemd with `Restart=always` and `RestartSec=200ms`. */
const RESTART_DELAY_MS = 200;
const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/** A program of the product under a supervisor that starts it again when it dies, unless told not to. */
export class Supervised {
  readonly name: string;
  readonly #options: SupervisedOptions;
  #child: ChildProcess | undefined;
  #restart: NodeJS.Timeout | undefined;
  #supervise = false;
  #starts = 0;

  constructor(options: SupervisedOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** How often it has been started. */
  get starts(): number {
    return this.#starts;
  }

  get running(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** The pid of the process spawned, as the machine numbers it. */
  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined;
  }

  /** Start it and wait until it answers. @throws with the end of its log when it does not */
  async start(options: { supervise: boolean }): Promise<void> {
    this.#supervise = options.supervise;
    if (!this.running) this.#spawn();
    await this.ready();
  }

  async ready(): Promise<void> {
    try {
      await this.#options.ready(AbortSignal.timeout(READY_TIMEOUT_MS));
    } catch (cause) {
      throw new Error(`${this.name} did not come up:\n${this.logTail()}`, { cause });
    }
  }

  /** End it as a crash would; settles when it is gone. The supervisor starts it again, unless `restart` is false. */
  async kill(options: { restart: boolean } = { restart: true }): Promise<void> {
    if (!options.restart) this.#supervise = false;
    await this.#end('SIGKILL');
  }

  /** End it in order, for good. */
  async stop(): Promise<void> {
    this.#supervise = false;
    clearTimeout(this.#restart);
    await this.#end('SIGTERM');
  }

  logTail(lines = 25): string {
    try {
      return readFileSync(this.#options.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '(no log)';
    }
  }

  #spawn(): void {
    this.#starts += 1;
    const output = openSync(this.#options.logFile, 'a');
    try {
      const child = this.#options.spawn(output);
      this.#child = child;
      child.once('exit', () => {
        if (!this.#supervise) return;
        this.#restart = setTimeout(() => this.#spawn(), RESTART_DELAY_MS);
      });
    } finally {
      closeSync(output);
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    const ended = once(child, 'exit');
    child.ref(); // Whatever it was spawned like: its end is waited for.
    child.kill(signal);
    const insist = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(insist);
  }
}
