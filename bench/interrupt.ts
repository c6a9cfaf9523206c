import { HoldfastError, toErrorBody } from '../migrator/errors.ts';

/** Nothing short of a bug takes longer to come down; the lab's own exit hook removes what is left. */
const COME_DOWN_TIMEOUT_MS = 30_000;

/**
 * Run a command-line program: the first Ctrl-C or SIGTERM fires `signal` and lets `main` take everything down in
 * order, the second one ends the process at once. Sets the exit code that `main` settles with.
 */
export async function runProgram(main: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = () => {
    if (interrupt.signal.aborted) process.exit(130);
    process.stderr.write('\ntaking everything down …\n');
    interrupt.abort(new HoldfastError('INTERRUPTED', 'interrupted'));
    setTimeout(() => process.exit(130), COME_DOWN_TIMEOUT_MS).unref();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    process.exitCode = await main(interrupt.signal);
  } catch (error) {
    if (!interrupt.signal.aborted) {
      const { message, mend } = toErrorBody(error);
      process.stderr.write(`${message}\n${mend === undefined ? '' : `→ ${mend}\n`}`);
    }
    process.exitCode = interrupt.signal.aborted ? 130 : 1;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
