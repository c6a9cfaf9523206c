import { stat } from 'node:fs/promises';

const LIMIT_BYTES = 64 << 20;
const LOOK_MS = 100;

/**
 * Notice a CRIU that writes its log without end: a restore from page images that are too short reads nothing for ever
 * and tells of each time. On tmpfs that is the host's memory.
 */
export function watchRunaway(logFile: string): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const timer = setInterval(async () => {
    const sizeBytes = await stat(logFile).then(
      ({ size }) => size,
      () => 0,
    );
    if (sizeBytes > LIMIT_BYTES) controller.abort(new Error(`${logFile} grows without end`));
  }, LOOK_MS);
  return { signal: controller.signal, stop: () => clearInterval(timer) };
}
