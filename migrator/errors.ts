/**
 * The one base of every error Holdfast raises.
 *
 * `code` is stable and documented in docs/errors.md. `message` says what happened; `mend` says what to do
 * next. `retryable` tells a caller whether the same call may work later without anything being changed.
 */
export class HoldfastError extends Error {
  readonly code: string;
  readonly mend: string | undefined;
  readonly retryable: boolean;

  constructor(
    code: string,
    message: string,
    options: { mend?: string; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HoldfastError';
    this.code = code;
    this.mend = options.mend;
    this.retryable = options.retryable ?? false;
  }
}

/** What crosses a process border of an error: never a stack, never a cause's text. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly mend?: string;
  readonly retryable: boolean;
}

export function toErrorBody(error: unknown): ErrorBody {
  if (error instanceof HoldfastError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.mend === undefined ? {} : { mend: error.mend }),
      retryable: error.retryable,
    };
  }
  return {
    code: 'INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    retryable: false,
  };
}

export function fromErrorBody(body: ErrorBody): HoldfastError {
  return new HoldfastError(body.code, body.message, {
    retryable: body.retryable,
    ...(body.mend === undefined ? {} : { mend: body.mend }),
  });
}
