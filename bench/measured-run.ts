/** A benchmark that takes long and has figures all along. */
export interface MeasuredRun {
  readonly measurements: readonly unknown[];
  readonly failures: readonly unknown[];
  /** @returns how many measurements the budget had no room for */
  run(): Promise<number>;
  /** May be called twice. */
  close(): Promise<void>;
}

/**
 * Run it to its end, or to a Ctrl-C, which does not throw away what it has measured so far.
 *
 * @returns the exit code: 1 when something could not be measured
 */
export async function runMeasured(
  bench: MeasuredRun,
  signal: AbortSignal,
  tell: (leftOut: number) => void,
): Promise<number> {
  // At once: a lab that is up ends the process when it is gone.
  const tellAtOnce = () => {
    if (bench.measurements.length > 0) tell(0);
  };
  signal.addEventListener('abort', tellAtOnce, { once: true });
  try {
    tell(await bench.run());
    return bench.failures.length === 0 ? 0 : 1;
  } finally {
    signal.removeEventListener('abort', tellAtOnce);
    await bench.close();
  }
}
