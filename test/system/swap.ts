import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';

const SIZE_BYTES = 64 * 1024 * 1024;
const CHUNK = Buffer.alloc(1024 * 1024);

/** Let the machine swap until this process ends, if it cannot already. Where that is not to be had, it stays as it is. */
export function borrowSwap(): void {
  if (readFileSync('/proc/swaps', 'utf8').split('\n').length > 2) return;
  // Not on /tmp, which may be a tmpfs: that cannot hold a swap file.
  const file = `/var/tmp/holdfast-swap-${process.pid}`;
  // Whatever ends the tests: a machine must not go on with a swap file that nobody knows of.
  process.once('exit', () => {
    spawnSync('swapoff', [file]);
    rmSync(file, { force: true });
  });
  const fd = openSync(file, 'wx', 0o600);
  for (let at = 0; at < SIZE_BYTES; at += CHUNK.length) writeSync(fd, CHUNK, 0, CHUNK.length, at);
  closeSync(fd);
  spawnSync('mkswap', [file]);
  spawnSync('swapon', [file]);
}
