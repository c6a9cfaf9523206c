import { spawn } from 'node:child_process';
import { anySignal } from '../../migrator/any-signal.ts';

const LOCK_TIMEOUT_MS = 1_200_000;

/** Hold a lock file while `body` runs. flock(1) holds it for us, and the kernel lets go when this process dies. */
export async function withLock(file: string, signal: AbortSignal, body: () => Promise<void>): Promise<void> {
  const deadline = anySignal([signal, AbortSignal.timeout(LOCK_TIMEOUT_MS)]);
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once('data', () => resolve());
      holder.once('error', reject);
      holder.once('close', () => reject(new Error(`flock on ${file} has ended`)));
      deadline.addEventListener('abort', () => reject(deadline.reason), { once: true });
    });
    await body();
  } finally {
    holder.stdin.end();
  }
}
