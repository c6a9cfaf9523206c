import { nowMs } from './exchange.ts';

/**
 * An open loop: call `due(n, intendedAtMs)` `ratePerS` times a second until `signal` fires, whatever becomes of the
 * calls. A late tick catches up with all that was due meanwhile and hands on the times they were due at, so that
 * neither a slow server nor a busy event loop thins the load out (no coordinated omission).
 */
export async function pace(
  ratePerS: number,
  due: (n: number, intendedAtMs: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const startedAtMs = nowMs();
  let n = 0;
  let timer: NodeJS.Timeout;
  const tick = () => {
    for (;;) {
      const intendedAtMs = startedAtMs + (n * 1000) / ratePerS;
      if (intendedAtMs > nowMs()) break;
      due(n, intendedAtMs);
      n += 1;
    }
    timer = setTimeout(tick, 1);
  };
  timer = setTimeout(tick, 0);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  clearTimeout(timer);
}
