import { HoldfastError } from '../../migrator/errors.ts';

interface DrainOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What is still in flight, for the message. */
  readonly left: () => { requests: number; upgraded: number };
}

/** The wait for the requests in flight: ends when they are done, when the budget runs out, or when it is called off. */
export class Drain {
  readonly settled: Promise<void>;
  readonly #app: string;
  readonly #options: DrainOptions;
  readonly #timer: NodeJS.Timeout;
  #resolve: () => void = () => {};
  #reject: (error: HoldfastError) => void = () => {};

  constructor(app: string, options: DrainOptions) {
    this.#app = app;
    this.#options = options;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = setTimeout(() => this.#timedOut(), options.timeoutMs);
    options.signal.addEventListener('abort', this.callOff, { once: true });
  }

  done(): void {
    this.#stop();
    this.#resolve();
  }

  readonly callOff = (): void => {
    this.#stop();
    this.#reject(Drain.calledOff(this.#app, this.#options.signal.reason));
  };

  static calledOff(app: string, cause: unknown): HoldfastError {
    return new HoldfastError('HOLD_CALLED_OFF', `the hold of ${app} was called off while it drained`, {
      retryable: true,
      cause,
    });
  }

  #timedOut(): void {
    this.#stop();
    const { requests, upgraded } = this.#options.left();
    this.#reject(
      new HoldfastError(
        'DRAIN_TIMEOUT',
        `${requests} requests and ${upgraded} upgraded connections to ${this.#app} were still in flight after ` +
          `${this.#options.timeoutMs} ms; the app was not touched`,
        { mend: 'try again in a quieter moment, or raise drainTimeoutMs', retryable: true },
      ),
    );
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#options.signal.removeEventListener('abort', this.callOff);
  }
}
