import { open } from 'node:fs/promises';

/** From each end. A whole log measures some 300 KiB; one of a CRIU that loops has been seen to grow by 100 MiB/s. */
const END_BYTES = 512 * 1024;

/** The beginning and the end of a CRIU log; empty when there is none. */
export async function readLog(file: string): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { size } = await handle.stat();
    const head = await readAt(handle, 0, Math.min(size, END_BYTES));
    const rest = Math.min(size - head.length, END_BYTES);
    const tail = await readAt(handle, size - rest, rest);
    return Buffer.concat([head, tail]).toString('utf8');
  } finally {
    await handle.close();
  }
}

async function readAt(
  handle: Awaited<ReturnType<typeof open>>,
  position: number,
  sizeBytes: number,
): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(sizeBytes), 0, sizeBytes, position);
  return buffer.subarray(0, bytesRead);
}
